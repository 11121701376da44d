import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.cert.X509Certificate;
import java.security.interfaces.ECPrivateKey;
import java.security.interfaces.ECPublicKey;
import java.util.Collection;
import java.util.List;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.oiw.OIWObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.RSAESOAEPparams;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSAuthEnvelopedData;
import org.bouncycastle.cms.CMSAuthEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.KeyAgreeRecipientId;
import org.bouncycastle.cms.KeyTransRecipientId;
import org.bouncycastle.cms.RecipientId;
import org.bouncycastle.cms.RecipientInfoGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyAgreeEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipientInfoGenerator;
import org.bouncycastle.cms.jcajce.JceKeyTransAuthEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.operator.OutputAEADEncryptor;

/** EnvelopedData (RFC 5652, Section 6) and AuthEnvelopedData (RFC 5083). */
final class Encrypting {
    private Encrypting() {}

    static byte[] decrypt(X509Certificate own, PrivateKey key, byte[] data) throws Exception {
        boolean authenticated = ContentInfo.getInstance(data).getContentType().equals(CMSObjectIdentifiers.authEnvelopedData);
        Collection<RecipientInformation> recipients = authenticated
                ? new CMSAuthEnvelopedData(data).getRecipientInfos().getRecipients()
                : new CMSEnvelopedData(data).getRecipientInfos().getRecipients();
        for (RecipientInformation r : recipients) {
            if (!isFor(r.getRID(), own)) {
                continue;
            }
            if (r.getRID() instanceof KeyTransRecipientId) {
                return r.getContent(authenticated
                        ? new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC")
                        : new JceKeyTransEnvelopedRecipient(key).setProvider("BC"));
            }
            if (!(key instanceof ECPrivateKey)) {
                return r.getContent(new X25519.Recipient(key));
            }
            return r.getContent(authenticated
                    ? new Content.ECDH(key)
                    : new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC"));
        }
        throw new Exception("the message is for somebody else");
    }

    private static boolean isFor(RecipientId id, X509Certificate own) throws Exception {
        X500Name issuer = X500Name.getInstance(own.getIssuerX500Principal().getEncoded());
        byte[] keyId = Signing.keyId(own);
        if (id instanceof KeyTransRecipientId) {
            KeyTransRecipientId named = (KeyTransRecipientId) id;
            return named.getSerialNumber() == null
                    ? new KeyTransRecipientId(keyId).equals(named)
                    : new KeyTransRecipientId(issuer, own.getSerialNumber()).equals(named);
        }
        if (id instanceof KeyAgreeRecipientId) {
            KeyAgreeRecipientId named = (KeyAgreeRecipientId) id;
            return named.getSerialNumber() == null
                    ? new KeyAgreeRecipientId(keyId).equals(named)
                    : new KeyAgreeRecipientId(issuer, own.getSerialNumber()).equals(named);
        }
        return false;
    }

    static byte[] encrypt(List<X509Certificate> to, byte[] content, String cipher, String oaep, boolean keyId) throws Exception {
        boolean gcm = cipher.endsWith("-gcm");
        boolean large = cipher.contains("256");
        var auth = new CMSAuthEnvelopedDataGenerator();
        var plain = new CMSEnvelopedDataGenerator();
        for (X509Certificate certificate : to) {
            RecipientInfoGenerator recipient = recipient(certificate, oaep, keyId, large);
            auth.addRecipientInfoGenerator(recipient);
            plain.addRecipientInfoGenerator(recipient);
        }
        var data = new CMSProcessableByteArray(content);
        if (gcm) {
            ASN1ObjectIdentifier oid = large ? CMSAlgorithm.AES256_GCM : CMSAlgorithm.AES128_GCM;
            var encryptor = new JceCMSContentEncryptorBuilder(oid).setProvider("BC").build();
            return auth.generate(data, (OutputAEADEncryptor) encryptor).getEncoded();
        }
        ASN1ObjectIdentifier oid = large ? CMSAlgorithm.AES256_CBC : CMSAlgorithm.AES128_CBC;
        return plain.generate(data, new JceCMSContentEncryptorBuilder(oid).setProvider("BC").build()).getEncoded();
    }

    private static RecipientInfoGenerator recipient(X509Certificate certificate, String oaep, boolean keyId, boolean large)
            throws Exception {
        String kind = certificate.getPublicKey().getAlgorithm();
        if (!kind.equals("RSA")) {
            return agreement(certificate, keyId, large);
        }
        byte[] id = Signing.keyId(certificate);
        if (!oaep.isEmpty()) {
            AlgorithmIdentifier algorithm = oaep(oaep);
            return keyId
                    ? new JceKeyTransRecipientInfoGenerator(id, algorithm, certificate.getPublicKey()).setProvider("BC")
                    : new JceKeyTransRecipientInfoGenerator(certificate, algorithm).setProvider("BC");
        }
        return keyId
                ? new JceKeyTransRecipientInfoGenerator(id, certificate.getPublicKey()).setProvider("BC")
                : new JceKeyTransRecipientInfoGenerator(certificate).setProvider("BC");
    }

    /** ECDH with the key derivation and key wrap that suit the curve (RFC 5753). */
    private static RecipientInfoGenerator agreement(X509Certificate certificate, boolean keyId, boolean large) throws Exception {
        if (!(certificate.getPublicKey() instanceof ECPublicKey)) {
            return X25519.to(certificate, keyId, large);
        }
        var curve = ((ECPublicKey) certificate.getPublicKey()).getParams();
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "BC");
        generator.initialize(curve);
        int size = curve.getCurve().getField().getFieldSize();
        ASN1ObjectIdentifier scheme = size == 256 ? CMSAlgorithm.ECDH_SHA256KDF
                : size == 384 ? CMSAlgorithm.ECDH_SHA384KDF : CMSAlgorithm.ECDH_SHA512KDF;
        KeyPair pair = generator.generateKeyPair();
        var wrap = large ? CMSAlgorithm.AES256_WRAP : CMSAlgorithm.AES128_WRAP;
        var recipient = new JceKeyAgreeRecipientInfoGenerator(scheme, pair.getPrivate(), pair.getPublic(), wrap).setProvider("BC");
        return keyId
                ? recipient.addRecipient(Signing.keyId(certificate), certificate.getPublicKey())
                : recipient.addRecipient(certificate);
    }

    /** RSAES-OAEP with the same digest in all places (RFC 4055, Section 4.1). */
    private static AlgorithmIdentifier oaep(String digest) {
        ASN1ObjectIdentifier oid = digest.equals("sha1") ? OIWObjectIdentifiers.idSHA1 : NISTObjectIdentifiers.id_sha256;
        AlgorithmIdentifier hash = new AlgorithmIdentifier(oid, DERNull.INSTANCE);
        return new AlgorithmIdentifier(PKCSObjectIdentifiers.id_RSAES_OAEP, new RSAESOAEPparams(
                hash, new AlgorithmIdentifier(PKCSObjectIdentifiers.id_mgf1, hash), RSAESOAEPparams.DEFAULT_P_SOURCE_ALGORITHM));
    }
}
