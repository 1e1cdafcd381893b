# The agent: hands single-use secret ids of the roles named here to processes of the same user. The wrapping limits
# mean that it never sees a secret id itself: an answer that is not wrapped, or wrapped for longer, is refused.

path "auth/approle/role/facade/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/facade/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "60s"
}

path "auth/approle/role/adapter-serving/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/adapter-serving/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "60s"
}

path "auth/approle/role/retrieval/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/retrieval/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "60s"
}

path "auth/approle/role/reconciliation/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/reconciliation/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "60s"
}

path "auth/approle/role/triage/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/triage/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "60s"
}

path "auth/approle/role/cli/role-id" {
  capabilities = ["read"]
}

path "auth/approle/role/cli/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "60s"
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
