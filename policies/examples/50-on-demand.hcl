# Encryption at the originator's word: a subject with [encrypt] in it, in capitals
# or not. The tag is taken out before the message leaves. Whichever the recipient
# has is taken, S/MIME first; without any, the message comes back, because its
# author asked for protection.

policy "on-demand" {
  direction = "outgoing"
  header "Subject" {
    contains = "[encrypt]"
    strip    = true
  }

  sign "any" {}
  encrypt "any" {}
  on_key_not_found = "reject"
}

# The same for programs, which rather set a field of their own. There is no text
# to compare, so the whole field is taken out.

policy "on-demand-of-programs" {
  direction = "outgoing"
  header "X-Encrypt" {
    strip = true
  }

  sign "any" {}
  encrypt "any" {}
  on_key_not_found = "reject"
}
