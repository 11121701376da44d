policy "headers" {
  direction = "outgoing"
  header "Subject" {
    contains = "a"
    equals   = "b"
  }
  header "Subject:" {}
  header "X Y" {}
  header "From" {
    contains = "boss"
    strip    = true
  }
  header "content-type" {
    strip = true
  }
  header "Subject" {
    contains = ""
  }
  header "Subject" {
    equals = " "
  }
  header "Subject" {
    contains = "a\nb"
  }
}
