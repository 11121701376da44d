policy "bank" {
  direction = "outgoing"
  recipient = ["*@*.bank.example", "*@bank.example"]
}
policy "bank-from-finance" {
  direction  = "outgoing"
  originator = ["*@finance.example.com"]
  recipient  = ["bob@bank.example", "*@*.eu.bank.example", "*@loans.bank.example"]
}
policy "partly" {
  direction = "outgoing"
  recipient = ["*@bank.example", "*@other.example"]
}
policy "tagged" {
  direction = "outgoing"
  header "Subject" {
    contains = "secret"
  }
}
policy "tagged-more" {
  direction = "outgoing"
  header "subject" {
    equals = "Top SECRET"
  }
  header "X-Other" {}
}
policy "with-tls" {
  direction = "outgoing"
  recipient = ["tls.example"]
  tls       = "1.2"
}
policy "with-later-tls" {
  direction     = "outgoing"
  recipient     = ["*@tls.example"]
  tls           = "1.3"
  authenticated = true
}
policy "with-any-tls" {
  direction = "outgoing"
  recipient = ["*@tls.example"]
}
policy "all" {
  direction = "outgoing"
}
policy "after-all" {
  direction = "outgoing"
  recipient = ["*"]
}
policy "in" {
  direction = "incoming"
}
policy "in-again" {
  direction = "incoming"
  recipient = ["*@example.com"]
  verify {}
}
