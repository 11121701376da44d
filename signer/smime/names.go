package smime

import "waxseal/signer/smime/cms"

// ParseEncryptOptions returns the options that the names in a policy file stand
// for; an empty name stands for the default.
func ParseEncryptOptions(cipher, keyTransport string) (o EncryptOptions, err error) {
	if cipher != "" {
		if o.Cipher, err = cms.ParseCipher(cipher); err != nil {
			return o, err
		}
	}
	if keyTransport != "" {
		if o.KeyTransport, err = cms.ParseKeyTransport(keyTransport); err != nil {
			return o, err
		}
	}
	return o, nil
}
