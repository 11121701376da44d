policy "words" {
  direction = "incoming"
  decrypt {
    deliver        = "both"
    legacy_ciphers = "yes"
    cipher         = "aes256-cbc"
  }
  verify {
    trust_anchors   = []
    revocation      = "soft"
    signers         = 2
    strip_signature = "never"
    key             = "address"
  }
}
policy "actions" {
  direction           = "incoming"
  recipient           = ["a.example"]
  max_layers          = 0
  on_bad_signature    = "bounce"
  on_untrusted        = true
  on_no_signature     = "drop"
  on_decrypt_error    = "keep"
  on_keys_unavailable = "reject"
  decrypt {}
  verify { trust_anchors = ["partners", 5] }
}
policy "numbers" {
  direction  = "incoming"
  recipient  = ["b.example"]
  max_layers = 33
  decrypt {}
}
policy "fractions" {
  direction  = "incoming"
  recipient  = ["c.example"]
  max_layers = 2.5
  decrypt {}
}
policy "figures" {
  direction  = "incoming"
  recipient  = ["d.example"]
  max_layers = "4"
  decrypt {}
}
policy "tags" {
  direction = "incoming"
  recipient = ["e.example"]
  decrypt {}
  verify {}
  subject_tag {
    signed    = "[signed]"
    untrusted = "[Signed] by a stranger"
    bad       = "[ungültig]"
    decrypted = " [decrypted]"
  }
}
policy "more-tags" {
  direction = "incoming"
  recipient = ["f.example"]
  decrypt {}
  verify {}
  subject_tag {
    signed    = "=?utf-8?q?=5Bsigned=5D?="
    untrusted = "[this signature is intact, but nobody knows whose it is]"
    bad       = "[bad]\r\nX-Other: field"
    decrypted = ""
  }
}
policy "scheme" {
  direction = "incoming"
  recipient = ["g.example"]
  decrypt "smime" {}
  verify "pgp" {}
}
