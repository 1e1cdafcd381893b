# Retrieval: checks the token with which the services know each other, makes and opens the data key of its index, and
# keeps the wrapped keys of patients' texts, by index and tag, until they are destroyed. It cannot list them.

path "secret/data/preceptor/services/token" {
  capabilities = ["read"]
}

path "secret/data/preceptor/retrieval/patient-tags/+" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/preceptor/retrieval/patient-keys/+/+" {
  capabilities = ["create", "read", "update"]
}

path "secret/metadata/preceptor/retrieval/patient-keys/+/+" {
  capabilities = ["delete"]
}

path "transit/datakey/plaintext/retrieval-index" {
  capabilities = ["update"]
}

path "transit/decrypt/retrieval-index" {
  capabilities = ["update"]
}

path "transit/datakey/plaintext/canary" {
  capabilities = ["update"]
}

path "transit/decrypt/canary" {
  capabilities = ["update"]
}
