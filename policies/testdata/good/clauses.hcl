# Every clause beside the patterns.
policy "header-equals" {
  direction = "outgoing"
  header "X-Class" {
    equals = "Straße"
  }
}
policy "two-headers" {
  direction = "outgoing"
  header "Subject" {
    contains = "$${tag}"
  }
  header "X-Class" {}
}
policy "logged-in-over-tls" {
  direction     = "outgoing"
  recipient     = ["tls.example"]
  authenticated = true
  tls           = "1.3"
}
policy "tls" {
  direction = "outgoing"
  recipient = ["tls.example"]
  tls       = "1.0"
}
policy "machine" {
  direction     = "outgoing"
  recipient     = ["tls.example"]
  authenticated = false
}
policy "come-in" {
  direction = "incoming"
  recipient = ["*@example.com"]
}
