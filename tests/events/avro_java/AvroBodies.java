import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.avro.Schema;
import org.apache.avro.file.CodecFactory;
import org.apache.avro.file.DataFileWriter;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.Encoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.avro.util.RandomData;

/**
 * Writes and reads event bodies with Avro's own Java, for tests in Python: a line of JSON asks, a line answers.
 *
 * <p>{"write": schema, "seed": n, "count": n} -> {"plain": [hex], "blocked": [hex]}: random values, with the blocks of
 * arrays and maps counted, or with their sizes in bytes too. {"frame": schema, "seed": n, "count": n, "id": n} ->
 * {"raw": [hex], "single_object": [hex], "container": [hex], "confluent": [hex]}: random values in Avro's own framings, and
 * with the header that Confluent's serializers write. {"writer": schema, "reader": schema, "bodies": [hex]} ->
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
      } else if (asked.has("frame")) {
        frame(schema(asked.get("frame")), asked, answer);
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

  private static void frame(Schema schema, JsonNode asked, ObjectNode answer) throws IOException {
    ArrayNode raw = answer.putArray("raw");
    ArrayNode singleObject = answer.putArray("single_object");
    ArrayNode container = answer.putArray("container");
    ArrayNode confluent = answer.putArray("confluent");
    BinaryMessageEncoder<Object> messages = new BinaryMessageEncoder<>(new GenericData(), schema);
    for (Object value : new RandomData(schema, asked.get("count").asInt(), asked.get("seed").asLong())) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      String plain = written(schema, value, EncoderFactory.get().binaryEncoder(out, null), out);
      raw.add(plain);
      ByteBuffer message = messages.encode(value);
      singleObject.add(HEX.formatHex(message.array(), message.arrayOffset() + message.position(), message.limit()));
      ByteArrayOutputStream file = new ByteArrayOutputStream();
      try (DataFileWriter<Object> writer = new DataFileWriter<>(new GenericDatumWriter<>(schema))) {
        writer.setCodec(CodecFactory.deflateCodec(6)).create(schema, file).append(value);
      }
      container.add(HEX.formatHex(file.toByteArray()));
      byte[] header = ByteBuffer.allocate(5).put((byte) 0).putInt(asked.get("id").asInt()).array();
      confluent.add(HEX.formatHex(header) + plain);
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
