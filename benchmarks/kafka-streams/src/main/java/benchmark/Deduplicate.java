package benchmark;

import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.module.blackbird.BlackbirdModule;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Instant;
import java.util.Arrays;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * The rules of the job for one event: stale, tombstone, duplicate or change.
 *
 * <p>A state is the digest of the content (16 bytes, zeros for a deleted product) and the newest
 * event time, whose texts sort as the times do.
 */
final class Deduplicate implements Processor<byte[], byte[], byte[], byte[]> {
  static final String STORE = "states";
  private static final int DIGEST_BYTES = 16;
  private static final byte[] DELETED = new byte[DIGEST_BYTES];
  private static final ObjectMapper JSON = new ObjectMapper().registerModule(new BlackbirdModule());

  private final ObjectReader reader = JSON.readerFor(Event.class);
  private final ObjectWriter writer = JSON.writerFor(Row.class);
  private final MessageDigest digest = md5();
  private ProcessorContext<byte[], byte[]> context;
  private KeyValueStore<byte[], byte[]> states;

  @Override
  public void init(ProcessorContext<byte[], byte[]> processorContext) {
    context = processorContext;
    states = context.getStateStore(STORE);
  }

  @Override
  public void process(Record<byte[], byte[]> record) {
    try {
      Event event = reader.readValue(record.value());
      byte[] known = states.get(record.key());
      byte[] time = event.timestamp().getBytes(UTF_8);
      if (known != null && isBefore(time, known)) {
        return;
      }
      boolean exists = known != null && !startsWith(known, DELETED);
      if (event.action().equals("deleted")) {
        states.put(record.key(), state(DELETED, time));
        if (exists) {
          context.forward(record.withKey(outputKey(event)).withValue(null));
        }
        return;
      }
      byte[] content = digest(event.product());
      states.put(record.key(), state(content, time));
      if (!exists || !startsWith(known, content)) {
        byte[] row = writer.writeValueAsBytes(Row.of(event, Instant.now().toString()));
        context.forward(record.withKey(outputKey(event)).withValue(row));
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private static boolean isBefore(byte[] time, byte[] known) {
    return Arrays.compare(time, 0, time.length, known, DIGEST_BYTES, known.length) < 0;
  }

  private static boolean startsWith(byte[] known, byte[] content) {
    return Arrays.equals(known, 0, DIGEST_BYTES, content, 0, DIGEST_BYTES);
  }

  private static byte[] state(byte[] content, byte[] time) {
    return ByteBuffer.allocate(DIGEST_BYTES + time.length).put(content).put(time).array();
  }

  private static byte[] outputKey(Event event) {
    return ("{\"product_id\":" + event.product().productId() + "}").getBytes(UTF_8);
  }

  private byte[] digest(Event.Product product) {
    // Lengths keep the fields apart: no two contents have the same text.
    String name = product.productName();
    String description = product.description();
    String text =
        name.length() + ":" + name
            + (description == null ? "-" : description.length() + ":" + description)
            + product.price() + ":" + product.stockQuantity() + ":" + product.discount();
    return digest.digest(text.getBytes(UTF_8));
  }

  private static MessageDigest md5() {
    try {
      return MessageDigest.getInstance("MD5");
    } catch (NoSuchAlgorithmException error) {
      throw new IllegalStateException(error); // every Java has it
    }
  }
}
