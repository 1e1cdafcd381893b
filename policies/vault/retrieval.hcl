# Retrieval: checks the token with which the services know each other, and makes and opens the data key of its index.

path "secret/data/preceptor/services/token" {
  capabilities = ["read"]
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
