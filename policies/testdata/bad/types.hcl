policy "types" {
  direction           = outgoing
  originator          = "*@example.com"
  recipient           = ["*@bank.example", 5, true, bank, ["*@x.example"], null]
  authenticated       = "true"
  tls                 = 1.2
  fold_local_part     = 1
  require_login_match = null
  sign "smime" {
    key    = ["any"]
    mode   = { a = "b" }
    digest = 256
  }
  encrypt "smime" { also_to = "archive@example.com" }
  on_key_not_found = true
}
