package milter

import (
	"fmt"
	"strings"

	"waxseal/keys"
	"waxseal/signer"
	"waxseal/signer/pgpmime"
	"waxseal/signer/smime"
)

// ReportName is the field that carries the result of a message.
const ReportName = "Waxseal-Result"

// isReport is true for a report that came with the message: nobody but us says
// what we did.
func isReport(f signer.Field) bool {
	return len(fieldsLike(signer.Header{f}, ReportName)) > 0
}

// report makes the report of one message:
//
//	Waxseal-Result: mx1.example.com; policy=finance-to-bank;
//	 sign=pass (smime rsa2048-sha256 alice@finance.example.com);
//	 encrypt=pass (smime aes256-cbc, 2 recipients); id=4Xz1
//
// No recipient is named, since one of them may be a blind copy.
func (f *Filter) report(tx *Transaction, t *treatment) (signer.Field, error) {
	parts := []string{f.AuthservID, "policy=" + strings.Join(t.policies, ",")}
	if t.sign != "" {
		words, err := f.signWords(t)
		if err != nil {
			return signer.Field{}, err
		}
		parts = append(parts, "sign="+words)
	}
	if t.encrypt != "" {
		words, err := f.encryptWords(t)
		if err != nil {
			return signer.Field{}, err
		}
		parts = append(parts, "encrypt="+words)
	}
	parts = append(parts, "id="+tx.ID)
	return signer.NewField(ReportName, strings.Join(parts, "; "))
}

func (f *Filter) signWords(t *treatment) (string, error) {
	switch t.sign {
	case opAlready:
		return opAlready, nil
	case opNone:
		return "none (no key)", nil
	case string(keys.SMIME):
		algorithm := smime.SignatureAlgorithm(t.signKey.Chain[0], f.smimeOptions(t))
		return "pass (smime " + algorithm + " " + t.signKey.Name + ")", nil
	}
	key, err := f.Keyring.Key(t.signKey.Name, t.signKey.OpenPGP, t.signKey.Signer)
	if err != nil {
		return "", err
	}
	return "pass (pgp " + key.Algorithm(t.digest) + " " + t.signKey.Name + ")", nil
}

func (f *Filter) encryptWords(t *treatment) (string, error) {
	cipher := t.cipher
	switch t.encrypt {
	case opAlready:
		return opAlready, nil
	case opNone:
		return "none (no certificate)", nil
	case string(keys.PGP):
		to, o, err := f.pgpEncryption(t)
		if err != nil {
			return "", err
		}
		cipher = pgpmime.Cipher(to, o)
	default:
		if cipher == "" {
			cipher = smime.CipherAES256CBC.String()
		}
	}
	n, noun := len(t.certificates)+len(t.blind), "recipients"
	if n == 1 {
		noun = "recipient"
	}
	return fmt.Sprintf("pass (%s %s, %d %s)", t.encrypt, cipher, n, noun), nil
}
