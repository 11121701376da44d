# A domain whose people use OpenPGP. Signature and encryption make one PGP/MIME
# message. A missing key defers the message for as long as the MTA keeps trying,
# which leaves time to fetch it.

policy "newsroom" {
  direction = "outgoing"
  recipient = ["newsroom.example"]   # short for "*@newsroom.example"

  sign "pgp" {}
  encrypt "pgp" {}
  on_key_not_found = "tempfail"
}
