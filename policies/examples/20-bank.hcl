# A partner with whom everything is signed and encrypted with S/MIME.
#
# Signing takes the originator's own certificate and key, encryption the
# certificate of the recipient, or else the one stored for the recipient's domain
# (a gateway there). Without it the message is refused: nothing goes in clear.

policy "finance-to-bank" {
  direction  = "outgoing"
  originator = ["*@finance.example.com"]               # header From
  recipient  = ["*@bank.example", "*@*.bank.example"]  # envelope; subdomains too

  sign "smime" {}
  encrypt "smime" {
    also_to = ["archive@example.com"]                  # can decrypt it as well
  }
  on_key_not_found = "reject"
}
