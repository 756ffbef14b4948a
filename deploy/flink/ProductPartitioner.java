import java.nio.charset.StandardCharsets;
import org.apache.flink.connector.kafka.sink.KafkaPartitioner;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.utils.Utils;
import org.apache.flink.table.data.RowData;

/**
 * Assigns a row of src_products to the partition of its product's events, as the worker does: the
 * hash of the plain id as on `products`, not of the row's JSON key. A worker can only take over such
 * a topic.
 */
public class ProductPartitioner implements KafkaPartitioner<RowData> {
    private static final long serialVersionUID = 1L;

    @Override
    public int partition(
            RowData row, byte[] key, byte[] value, String topic, int[] partitions) {
        String text = new String(key, StandardCharsets.UTF_8);
        String id = text.substring(text.indexOf(':') + 1, text.lastIndexOf('}'));
        int hash = Utils.murmur2(id.getBytes(StandardCharsets.UTF_8));
        return partitions[Utils.toPositive(hash) % partitions.length];
    }
}
