import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.Encoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.util.RandomData;

/**
 * Writes and reads event bodies with Avro's own Java, for tests in Python: a line of JSON asks, a line answers.
 *
 * <p>{"write": schema, "seed": n, "count": n} -> {"plain": [hex], "blocked": [hex]}: random values, with the blocks of
 * arrays and maps counted, or with their sizes in bytes too. {"writer": schema, "reader": schema, "bodies": [hex]} ->
 * {"resolved": [hex or null]}: each as one of the reader's schema, null where Java refuses it.
 */
public final class AvroBodies {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final HexFormat HEX = HexFormat.of();
  private static final EncoderFactory SMALL_BLOCKS = new EncoderFactory().configureBlockSize(64);

  public static void main(String[] args) throws IOException {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      JsonNode asked = JSON.readTree(line);
      ObjectNode answer = JSON.createObjectNode();
      if (asked.has("write")) {
        write(schema(asked.get("write")), asked.get("seed").asLong(), asked.get("count").asInt(), answer);
      } else {
        resolve(schema(asked.get("writer")), schema(asked.get("reader")), asked.get("bodies"), answer);
      }
      System.out.println(JSON.writeValueAsString(answer));
    }
  }

  private static Schema schema(JsonNode declared) {
    return new Schema.Parser().parse(declared.toString());
  }

  private static void write(Schema schema, long seed, int count, ObjectNode answer) throws IOException {
    ArrayNode plain = answer.putArray("plain");
    ArrayNode blocked = answer.putArray("blocked");
    for (Object value : new RandomData(schema, count, seed)) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      plain.add(written(schema, value, EncoderFactory.get().binaryEncoder(out, null), out));
      out = new ByteArrayOutputStream();
      blocked.add(written(schema, value, SMALL_BLOCKS.blockingBinaryEncoder(out, null), out));
    }
  }

  private static void resolve(Schema writer, Schema reader, JsonNode bodies, ObjectNode answer) {
    ArrayNode resolved = answer.putArray("resolved");
    for (JsonNode body : bodies) {
      try {
        byte[] bytes = HEX.parseHex(body.asText());
        BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(bytes, null);
        Object value = new GenericDatumReader<Object>(writer, reader).read(null, decoder);
        if (!decoder.isEnd()) {
          throw new IOException("bytes are left over");
        }
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        resolved.add(written(reader, value, EncoderFactory.get().binaryEncoder(out, null), out));
      } catch (IOException | RuntimeException e) {
        resolved.addNull();
      }
    }
  }

  private static String written(Schema schema, Object value, Encoder encoder, ByteArrayOutputStream out)
      throws IOException {
    new GenericDatumWriter<Object>(schema).write(value, encoder);
    encoder.flush();
    return HEX.formatHex(out.toByteArray());
  }
}
