"""Hashes a client secret for the clients file: ``python -m sandbox_ehr.hash_secret < secret``."""

import secrets
import sys

from sandbox_ehr.auth.clients import scrypt_hash

if __name__ == "__main__":
    sys.stdout.write(f"{scrypt_hash(sys.stdin.read().strip(), secrets.token_bytes(16))}\n")
