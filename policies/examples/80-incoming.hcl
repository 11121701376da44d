# Mail that comes in for our people: it is decrypted with their keys or the
# domain's, its signatures are checked, and what was found stands in the fields
# Authentication-Results and Waxseal-Result. Mail for which we have no key, and
# mail that is neither encrypted nor signed, passes as it is.

# One mailbox takes signed orders of partners only. A person looks at what fails,
# because a mailing list or a relay may have broken the signature.

policy "orders" {
  direction = "incoming"
  recipient = ["orders@example.com"]

  decrypt {}
  verify {
    trust_anchors = ["partners"] # a block of that name in the configuration
    revocation    = "require"    # no list of revoked certificates: not trusted
  }
  on_bad_signature = "quarantine"
  on_untrusted     = "quarantine"
  on_no_signature  = "reject"
}

# Everybody else gets all mail, with a word in the subject for people whose mail
# program does not show the report.

policy "incoming" {
  direction = "incoming"
  recipient = ["*@example.com"]

  decrypt {}                     # deliver = "plain"
  verify {}                      # all trust_anchors of the configuration
  on_bad_signature = "accept"    # reported, not refused

  subject_tag {
    decrypted = "[decrypted]"
    bad       = "[broken signature]"
  }
}
