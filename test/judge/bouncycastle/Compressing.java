import java.io.ByteArrayOutputStream;
import java.io.OutputStream;
import org.bouncycastle.cms.CMSCompressedDataGenerator;
import org.bouncycastle.cms.CMSCompressedDataStreamGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.jcajce.ZlibCompressor;

/** CompressedData (RFC 3274). */
final class Compressing {
    private Compressing() {}

    /** Compresses content, in one piece or, with indefinite lengths, in many. */
    static byte[] compress(byte[] content, boolean pieces) throws Exception {
        if (!pieces) {
            return new CMSCompressedDataGenerator().generate(new CMSProcessableByteArray(content), new ZlibCompressor()).getEncoded();
        }
        ByteArrayOutputStream data = new ByteArrayOutputStream();
        try (OutputStream out = new CMSCompressedDataStreamGenerator().open(data, new ZlibCompressor())) {
            out.write(content);
        }
        return data.toByteArray();
    }
}
