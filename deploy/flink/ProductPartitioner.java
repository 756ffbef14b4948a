import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import org.apache.flink.connector.kafka.sink.KafkaPartitioner;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.utils.Utils;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.table.data.RowData;

/**
 * Assigns a row to the partition of its events, as the worker does: by the hash of the plain id as on
 * the source topic, not of the row's JSON key. A worker can only take over such a topic.
 */
public class ProductPartitioner implements KafkaPartitioner<RowData> {
    private static final long serialVersionUID = 2L;
    private static final ObjectMapper MAPPER = new ObjectMapper();

    @Override
    public int partition(
            RowData row, byte[] key, byte[] value, String topic, int[] partitions) {
        String id;
        try {
            id = MAPPER.readTree(key).elements().next().asText();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        int hash = Utils.murmur2(id.getBytes(StandardCharsets.UTF_8));
        return partitions[Utils.toPositive(hash) % partitions.length];
    }
}
