policy "types" {
  direction           = outgoing
  originator          = "*@example.com"
  recipient           = ["*@bank.example", 5, true, bank, ["*@x.example"], null]
  authenticated       = "true"
  tls                 = 1.2
  fold_local_part     = 1
  require_login_match = null
  sign "any" {
    key    = ["any"]
    mode   = { a = "b" }
    digest = 256
    pss    = "true"
  }
  encrypt "any" {
    also_to = "archive@example.com"
    hidden  = 1
  }
  on_key_not_found = true
}
