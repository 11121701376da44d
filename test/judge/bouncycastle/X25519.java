import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.cert.X509Certificate;
import org.bouncycastle.asn1.ASN1Encoding;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.cms.IssuerAndSerialNumber;
import org.bouncycastle.asn1.cms.KeyAgreeRecipientIdentifier;
import org.bouncycastle.asn1.cms.KeyAgreeRecipientInfo;
import org.bouncycastle.asn1.cms.OriginatorIdentifierOrKey;
import org.bouncycastle.asn1.cms.OriginatorPublicKey;
import org.bouncycastle.asn1.cms.RecipientEncryptedKey;
import org.bouncycastle.asn1.cms.RecipientInfo;
import org.bouncycastle.asn1.cms.RecipientKeyIdentifier;
import org.bouncycastle.asn1.cms.ecc.ECCCMSSharedInfo;
import org.bouncycastle.asn1.edec.EdECObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSException;
import org.bouncycastle.cms.KeyAgreeRecipient;
import org.bouncycastle.cms.RecipientInfoGenerator;
import org.bouncycastle.cms.RecipientOperator;
import org.bouncycastle.crypto.CipherParameters;
import org.bouncycastle.crypto.agreement.X25519Agreement;
import org.bouncycastle.crypto.digests.SHA256Digest;
import org.bouncycastle.crypto.engines.AESWrapEngine;
import org.bouncycastle.crypto.generators.HKDFBytesGenerator;
import org.bouncycastle.crypto.params.HKDFParameters;
import org.bouncycastle.crypto.params.KeyParameter;
import org.bouncycastle.crypto.params.X25519PrivateKeyParameters;
import org.bouncycastle.crypto.params.X25519PublicKeyParameters;
import org.bouncycastle.operator.GenericKey;
import org.bouncycastle.util.Pack;

/**
 * Key agreement with X25519 and HKDF with SHA-256 (RFC 8418). Bouncy Castle 1.72
 * has all that this needs, but does not put it together.
 */
final class X25519 {
    private static final ASN1ObjectIdentifier SCHEME = PKCSObjectIdentifiers.id_smime.branch("3.19");

    private X25519() {}

    /** Derives the key that wraps the content's (RFC 8418, Section 2.2, and RFC 5753, Section 7.2). */
    private static CipherParameters wrappingKey(X25519PrivateKeyParameters own, X25519PublicKeyParameters other,
            AlgorithmIdentifier wrap) throws Exception {
        int size = wrap.getAlgorithm().equals(CMSAlgorithm.AES256_WRAP) ? 32
                : wrap.getAlgorithm().equals(CMSAlgorithm.AES128_WRAP) ? 16 : 0;
        if (size == 0) {
            throw new CMSException("unknown key wrap " + wrap.getAlgorithm());
        }
        X25519Agreement agreement = new X25519Agreement();
        agreement.init(own);
        byte[] secret = new byte[agreement.getAgreementSize()];
        agreement.calculateAgreement(other, secret, 0);
        byte[] info = new ECCCMSSharedInfo(wrap, Pack.intToBigEndian(8 * size)).getEncoded(ASN1Encoding.DER);
        HKDFBytesGenerator hkdf = new HKDFBytesGenerator(new SHA256Digest());
        hkdf.init(new HKDFParameters(secret, null, info));
        byte[] key = new byte[size];
        hkdf.generateBytes(key, 0, size);
        return new KeyParameter(key);
    }

    /** Opens the part of a recipient. */
    static final class Recipient implements KeyAgreeRecipient {
        private final PrivateKeyInfo key;

        Recipient(PrivateKey key) {
            this.key = PrivateKeyInfo.getInstance(key.getEncoded());
        }

        @Override
        public AlgorithmIdentifier getPrivateKeyAlgorithmIdentifier() {
            return key.getPrivateKeyAlgorithm();
        }

        @Override
        public RecipientOperator getRecipientOperator(AlgorithmIdentifier keyAlgorithm, AlgorithmIdentifier contentAlgorithm,
                SubjectPublicKeyInfo sender, ASN1OctetString ukm, byte[] wrapped) throws CMSException {
            try {
                if (!keyAlgorithm.getAlgorithm().equals(SCHEME) || ukm != null) {
                    throw new CMSException("unknown scheme " + keyAlgorithm.getAlgorithm());
                }
                byte[] secret = ASN1OctetString.getInstance(key.parsePrivateKey()).getOctets();
                AESWrapEngine wrap = new AESWrapEngine();
                wrap.init(false, wrappingKey(new X25519PrivateKeyParameters(secret, 0),
                        new X25519PublicKeyParameters(sender.getPublicKeyData().getOctets(), 0),
                        AlgorithmIdentifier.getInstance(keyAlgorithm.getParameters())));
                return Content.operator(contentAlgorithm, wrap.unwrap(wrapped, 0, wrapped.length));
            } catch (CMSException e) {
                throw e;
            } catch (Exception e) {
                throw new CMSException("X25519", e);
            }
        }
    }

    /** Makes the part of a recipient, with a key of the sender for this message only. */
    static RecipientInfoGenerator to(X509Certificate certificate, boolean keyId, boolean large) {
        return (GenericKey contentKey) -> {
            try {
                AlgorithmIdentifier wrapping = new AlgorithmIdentifier(large ? CMSAlgorithm.AES256_WRAP : CMSAlgorithm.AES128_WRAP);
                var other = SubjectPublicKeyInfo.getInstance(certificate.getPublicKey().getEncoded()).getPublicKeyData();
                X25519PrivateKeyParameters own = new X25519PrivateKeyParameters(new SecureRandom());
                AESWrapEngine wrap = new AESWrapEngine();
                wrap.init(true, wrappingKey(own, new X25519PublicKeyParameters(other.getOctets(), 0), wrapping));
                byte[] key = Content.encoded(contentKey);
                var id = keyId
                        ? new KeyAgreeRecipientIdentifier(new RecipientKeyIdentifier(Signing.keyId(certificate)))
                        : new KeyAgreeRecipientIdentifier(new IssuerAndSerialNumber(
                                org.bouncycastle.asn1.x509.Certificate.getInstance(certificate.getEncoded())));
                return new RecipientInfo(new KeyAgreeRecipientInfo(
                        new OriginatorIdentifierOrKey(new OriginatorPublicKey(
                                new AlgorithmIdentifier(EdECObjectIdentifiers.id_X25519), own.generatePublicKey().getEncoded())),
                        null,
                        new AlgorithmIdentifier(SCHEME, wrapping),
                        new DERSequence(new RecipientEncryptedKey(id, new DEROctetString(wrap.wrap(key, 0, key.length))))));
            } catch (Exception e) {
                throw new CMSException("X25519", e);
            }
        };
    }
}
