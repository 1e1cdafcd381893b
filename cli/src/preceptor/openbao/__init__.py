"""The embedded OpenBao: a real server with raft storage, TLS and an audit device, set up and unsealed here."""
