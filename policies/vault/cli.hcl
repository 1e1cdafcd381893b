# The command line: proves to the sandbox EHR who it is, so that it can discharge the demonstration stay and read
# back what was written. It has no part in the services' token or in anybody's data keys.

path "transit/sign/cli-client-assertion" {
  capabilities = ["update"]
}

path "transit/keys/cli-client-assertion" {
  capabilities = ["read"]
}

path "transit/datakey/plaintext/canary" {
  capabilities = ["update"]
}

path "transit/decrypt/canary" {
  capabilities = ["update"]
}
