# Market messages between energy companies, whose rules name the algorithms:
# RSASSA-PSS signatures, RSAES-OAEP with SHA-256 for the content key, AES in CBC
# mode. One mailbox of ours speaks for the company, and only with mailboxes of
# partners; nothing goes out unsigned or in clear.
#
# Where the partner reads it, cipher = "aes128-gcm" is the better choice: it also
# protects against changes.

policy "energy-market" {
  direction  = "outgoing"
  originator = ["edi@energy.example.com"]
  recipient  = ["edi@grid.example", "edi@supplier.example"]

  sign "smime" {
    digest = "sha256"
    pss    = true
  }
  encrypt "smime" {
    cipher        = "aes128-cbc"
    key_transport = "oaep-sha256"
  }
  on_key_not_found = "reject"
}
