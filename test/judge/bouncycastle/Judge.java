import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JcaPEMKeyConverter;

/**
 * Reads and writes CMS with Bouncy Castle. Each line of the standard input is a
 * command with its arguments, most of them files, between tabs; each line of the
 * standard output says how it went: "ok", or "error" and the reason.
 */
public final class Judge {
    public static void main(String[] args) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            String answer = "ok";
            try {
                perform(line.split("\t", -1));
            } catch (Throwable e) {
                Throwable cause = e.getCause() == null ? e : e.getCause();
                answer = ("error " + e + " / " + cause).replaceAll("\\s+", " ");
            }
            System.out.println(answer);
            System.out.flush();
        }
    }

    private static void perform(String[] a) throws Exception {
        switch (a[0]) {
            // verify ROOT DATA CONTENT|"" OUT
            case "verify":
                write(a[4], Signing.verify(certificates(a[1]).get(0), read(a[2]), a[3].isEmpty() ? null : read(a[3])));
                return;
            // sign CERT KEY CHAIN IN OUT DIGEST pss|"" detached|"" keyid|""
            case "sign":
                List<X509Certificate> chain = certificates(a[1]);
                chain.addAll(certificates(a[3]));
                write(a[5], Signing.sign(chain, key(a[2]), read(a[4]), a[6], !a[7].isEmpty(), !a[8].isEmpty(), !a[9].isEmpty()));
                return;
            // decrypt CERT KEY IN OUT
            case "decrypt":
                write(a[4], Encrypting.decrypt(certificates(a[1]).get(0), key(a[2]), read(a[3])));
                return;
            // encrypt IN OUT CIPHER OAEP|"" keyid|"" CERT...
            case "encrypt":
                List<X509Certificate> to = new ArrayList<>();
                for (String file : Arrays.asList(a).subList(6, a.length)) {
                    to.addAll(certificates(file));
                }
                write(a[2], Encrypting.encrypt(to, read(a[1]), a[3], a[4], !a[5].isEmpty()));
                return;
            // compress IN OUT pieces|""
            case "compress":
                write(a[2], Compressing.compress(read(a[1]), !a[3].isEmpty()));
                return;
            default:
                throw new IllegalArgumentException("unknown command " + a[0]);
        }
    }

    private static byte[] read(String file) throws Exception {
        return Files.readAllBytes(Path.of(file));
    }

    private static void write(String file, byte[] data) throws Exception {
        Files.write(Path.of(file), data);
    }

    private static List<X509Certificate> certificates(String file) throws Exception {
        List<X509Certificate> all = new ArrayList<>();
        try (var in = Files.newInputStream(Path.of(file))) {
            for (var c : CertificateFactory.getInstance("X.509", "BC").generateCertificates(in)) {
                all.add((X509Certificate) c);
            }
        }
        return all;
    }

    private static PrivateKey key(String file) throws Exception {
        try (PEMParser pem = new PEMParser(Files.newBufferedReader(Path.of(file)))) {
            return new JcaPEMKeyConverter().setProvider("BC").getPrivateKey((PrivateKeyInfo) pem.readObject());
        }
    }
}
