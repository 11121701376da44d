import java.io.InputStream;
import java.io.OutputStream;
import java.security.Key;
import java.security.PrivateKey;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.cms.GCMParameters;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cms.CMSException;
import org.bouncycastle.cms.RecipientOperator;
import org.bouncycastle.cms.jcajce.JceKeyAgreeRecipient;
import org.bouncycastle.jcajce.io.CipherInputStream;
import org.bouncycastle.operator.GenericKey;
import org.bouncycastle.operator.InputAEADDecryptor;
import org.bouncycastle.operator.InputDecryptor;

/** Content encryption for recipients that Bouncy Castle 1.72 has no class for. */
final class Content {
    private Content() {}

    /** Decrypts content of EnvelopedData or AuthEnvelopedData with its key. */
    static RecipientOperator operator(AlgorithmIdentifier algorithm, byte[] key) throws Exception {
        SecretKeySpec secret = new SecretKeySpec(key, "AES");
        boolean gcm = algorithm.getAlgorithm().equals(NISTObjectIdentifiers.id_aes128_GCM)
                || algorithm.getAlgorithm().equals(NISTObjectIdentifiers.id_aes256_GCM);
        Cipher cipher;
        if (gcm) {
            GCMParameters p = GCMParameters.getInstance(algorithm.getParameters());
            cipher = Cipher.getInstance("AES/GCM/NoPadding", "BC");
            cipher.init(Cipher.DECRYPT_MODE, secret, new GCMParameterSpec(8 * p.getIcvLen(), p.getNonce()));
            return new RecipientOperator(new Authenticated(algorithm, cipher));
        }
        cipher = Cipher.getInstance("AES/CBC/PKCS5Padding", "BC");
        cipher.init(Cipher.DECRYPT_MODE, secret,
                new IvParameterSpec(ASN1OctetString.getInstance(algorithm.getParameters()).getOctets()));
        return new RecipientOperator(new InputDecryptor() {
            @Override
            public AlgorithmIdentifier getAlgorithmIdentifier() {
                return algorithm;
            }

            @Override
            public InputStream getInputStream(InputStream in) {
                return new CipherInputStream(in, cipher);
            }
        });
    }

    /** The octets of a content-encryption key. */
    static byte[] encoded(GenericKey key) {
        Object representation = key.getRepresentation();
        return representation instanceof Key ? ((Key) representation).getEncoded() : (byte[]) representation;
    }

    private static final class Authenticated implements InputAEADDecryptor {
        private final AlgorithmIdentifier algorithm;
        private final Cipher cipher;

        Authenticated(AlgorithmIdentifier algorithm, Cipher cipher) {
            this.algorithm = algorithm;
            this.cipher = cipher;
        }

        @Override
        public AlgorithmIdentifier getAlgorithmIdentifier() {
            return algorithm;
        }

        @Override
        public InputStream getInputStream(InputStream in) {
            return new CipherInputStream(in, cipher);
        }

        @Override
        public OutputStream getAADStream() {
            return new OutputStream() {
                @Override
                public void write(int b) {
                    cipher.updateAAD(new byte[] {(byte) b});
                }
            };
        }

        @Override
        public byte[] getMAC() {
            return new byte[0]; // it stands behind the content, where the cipher reads it
        }
    }

    /** A recipient of AuthEnvelopedData with ECDH. */
    static final class ECDH extends JceKeyAgreeRecipient {
        ECDH(PrivateKey key) {
            super(key);
            setProvider("BC");
        }

        @Override
        public RecipientOperator getRecipientOperator(AlgorithmIdentifier keyAlgorithm, AlgorithmIdentifier contentAlgorithm,
                SubjectPublicKeyInfo sender, ASN1OctetString ukm, byte[] wrapped) throws CMSException {
            Key key = extractSecretKey(keyAlgorithm, contentAlgorithm, sender, ukm, wrapped);
            try {
                return operator(contentAlgorithm, key.getEncoded());
            } catch (Exception e) {
                throw new CMSException("ECDH", e);
            }
        }
    }
}
