# The facade: knows the services' token, keeps a token per EHR subscription and a secret per EHR that wants one,
# seals the SQL store, and proves to EHRs who it is. It may not read a key that signs, nor export any key.

path "secret/data/preceptor/services/token" {
  capabilities = ["read"]
}

path "secret/data/preceptor/facade/subscriptions/+" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/preceptor/facade/clients/+" {
  capabilities = ["create", "read", "update"]
}

path "secret/data/preceptor/facade/database" {
  capabilities = ["read"]
}

path "transit/datakey/plaintext/facade-phi" {
  capabilities = ["update"]
}

path "transit/decrypt/facade-phi" {
  capabilities = ["update"]
}

path "transit/sign/facade-client-assertion" {
  capabilities = ["update"]
}

path "transit/keys/facade-client-assertion" {
  capabilities = ["read"]
}

path "transit/sign/facade-client-assertion-rs384" {
  capabilities = ["update"]
}

path "transit/keys/facade-client-assertion-rs384" {
  capabilities = ["read"]
}

path "transit/datakey/plaintext/canary" {
  capabilities = ["update"]
}

path "transit/decrypt/canary" {
  capabilities = ["update"]
}
