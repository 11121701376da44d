import java.security.PrivateKey;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/** SignedData (RFC 5652, Section 5). */
final class Signing {
    private Signing() {}

    /** Verifies every signature and its path to the root, and returns the content. */
    static byte[] verify(X509Certificate root, byte[] data, byte[] content) throws Exception {
        CMSSignedData signed = content == null
                ? new CMSSignedData(data)
                : new CMSSignedData(new CMSProcessableByteArray(content), data);
        Collection<SignerInformation> signers = signed.getSignerInfos().getSigners();
        if (signers.isEmpty()) {
            throw new Exception("there is no signer");
        }
        JcaX509CertificateConverter converter = new JcaX509CertificateConverter().setProvider("BC");
        List<X509Certificate> all = new ArrayList<>();
        for (X509CertificateHolder c : signed.getCertificates().getMatches(null)) {
            all.add(converter.getCertificate(c));
        }
        for (SignerInformation signer : signers) {
            // Some programs put a certificate there twice.
            @SuppressWarnings("unchecked")
            Set<X509CertificateHolder> own = new HashSet<>(signed.getCertificates().getMatches(signer.getSID()));
            if (own.size() != 1) {
                throw new Exception("the signer has " + own.size() + " certificates");
            }
            X509Certificate certificate = converter.getCertificate(own.iterator().next());
            if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(certificate))) {
                throw new Exception("the signature is bad");
            }
            X509CertSelector target = new X509CertSelector();
            target.setCertificate(certificate);
            PKIXBuilderParameters path = new PKIXBuilderParameters(Set.of(new TrustAnchor(root, null)), target);
            path.setRevocationEnabled(false);
            path.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(all), "BC"));
            CertPathBuilder.getInstance("PKIX", "BC").build(path);
        }
        return (byte[]) signed.getSignedContent().getContent();
    }

    static byte[] sign(List<X509Certificate> chain, PrivateKey key, byte[] content, String digest, boolean pss,
            boolean detached, boolean keyId) throws Exception {
        X509Certificate own = chain.get(0);
        var builder = new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().setProvider("BC").build());
        var signer = new JcaContentSignerBuilder(algorithm(own, digest, pss)).setProvider("BC").build(key);
        CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
        generator.addSignerInfoGenerator(keyId
                ? builder.build(signer, keyId(own))
                : builder.build(signer, own));
        generator.addCertificates(new JcaCertStore(chain));
        return generator.generate(new CMSProcessableByteArray(content), !detached).getEncoded("DER");
    }

    /** The subject key identifier of the certificate (RFC 5280, Section 4.2.1.2). */
    static byte[] keyId(X509Certificate certificate) throws Exception {
        byte[] extension = certificate.getExtensionValue("2.5.29.14");
        return ASN1OctetString.getInstance(ASN1OctetString.getInstance(extension).getOctets()).getOctets();
    }

    private static String algorithm(X509Certificate own, String digest, boolean pss) {
        switch (own.getPublicKey().getAlgorithm()) {
            case "RSA":
                return digest.toUpperCase() + "withRSA" + (pss ? "andMGF1" : "");
            case "EC":
                return digest.toUpperCase() + "withECDSA";
            default:
                return "Ed25519";
        }
    }
}
