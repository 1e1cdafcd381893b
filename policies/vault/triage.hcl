# Triage: checks the token with which the services know each other. It keeps nothing, so it needs no key.

path "secret/data/preceptor/services/token" {
  capabilities = ["read"]
}

path "transit/datakey/plaintext/canary" {
  capabilities = ["update"]
}

path "transit/decrypt/canary" {
  capabilities = ["update"]
}
