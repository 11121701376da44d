policy "everything-outgoing" {
  direction = "outgoing"
  recipient = ["one.example"]
  decrypt {}
  verify { trust_anchors = ["partners"] }
  subject_tag { signed = "[signed]" }
  on_bad_signature    = "accept"
  on_untrusted        = "accept"
  on_no_signature     = "accept"
  on_decrypt_error    = "accept"
  on_keys_unavailable = "tempfail"
  max_layers          = 4
}
policy "nothing-to-do" {
  direction           = "incoming"
  recipient           = ["two.example"]
  on_bad_signature    = "reject"
  on_untrusted        = "reject"
  on_no_signature     = "reject"
  on_decrypt_error    = "reject"
  on_keys_unavailable = "accept"
  max_layers          = 4
  on_key_not_found    = "accept"
  subject_tag {
    decrypted = "[decrypted]"
    signed    = "[signed]"
  }
}
policy "decrypt-only" {
  direction       = "incoming"
  recipient       = ["three.example"]
  on_no_signature = "reject"
  max_layers      = 4
  decrypt {}
  subject_tag { bad = "[bad]" }
}
policy "verify-only" {
  direction           = "incoming"
  recipient           = ["four.example"]
  on_decrypt_error    = "reject"
  on_keys_unavailable = "accept"
  verify {}
  subject_tag { decrypted = "[decrypted]" }
}
policy "kept" {
  direction = "incoming"
  recipient = ["five.example"]
  decrypt { deliver = "keep" }
  subject_tag { decrypted = "[decrypted]" }
}
policy "no-tag" {
  direction = "incoming"
  recipient = ["six.example"]
  verify {}
  subject_tag {}
}
policy "no-direction" {
  recipient = ["seven.example"]
  decrypt {}
}
