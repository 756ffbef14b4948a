import java.nio.charset.StandardCharsets;
import org.apache.flink.connector.kafka.sink.KafkaPartitioner;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.utils.Utils;
import org.apache.flink.table.data.RowData;

/**
 * Puts a row of src_products in the partition of its product's events, as the worker does: that of
 * the bare id on `products`, not that of the row's own JSON key. Only so can a worker take over.
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
