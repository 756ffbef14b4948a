package benchmark;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * The deduplicating job in Kafka Streams.
 *
 * <p>Reads its settings from the environment, as every contender does. With {@code
 * BENCH_WARM_UP_OUTPUT} it first does the whole job once to that topic, in the same JVM, so that
 * the measured run finds compiled code.
 */
public final class Main {
  private static final Map<String, String> ENVIRONMENT = System.getenv();

  private Main() {}

  /** Runs until it is ended from outside; a failure of the job ends it with 1. */
  public static void main(String[] arguments) throws Exception {
    String warmUp = ENVIRONMENT.get("BENCH_WARM_UP_OUTPUT");
    if (warmUp != null) {
      String group = setting("GROUP") + "-warm-up";
      try (KafkaStreams streams = start(group, warmUp)) {
        waitUntilDone(group);
      }
    }
    start(setting("GROUP"), setting("OUTPUT"));
    new CountDownLatch(1).await();
  }

  private static String setting(String name) {
    return ENVIRONMENT.get("BENCH_" + name);
  }

  private static KafkaStreams start(String group, String output) {
    KafkaStreams streams = new KafkaStreams(topology(output), properties(group));
    streams.setUncaughtExceptionHandler(
        error -> {
          error.printStackTrace();
          Runtime.getRuntime().halt(1);
          return null;
        });
    streams.start();
    return streams;
  }

  private static Topology topology(String output) {
    var bytes = Serdes.ByteArray();
    StreamsBuilder builder = new StreamsBuilder();
    builder.addStateStore(
        Stores.keyValueStoreBuilder(
                Stores.persistentKeyValueStore(Deduplicate.STORE), bytes, bytes)
            .withCachingEnabled());
    builder.stream(setting("SOURCE"), Consumed.with(bytes, bytes))
        .process(Deduplicate::new, Deduplicate.STORE)
        .to(output, Produced.with(bytes, bytes));
    return builder.build();
  }

  private static Properties properties(String group) {
    Properties properties = new Properties();
    properties.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
    properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, setting("SERVERS"));
    properties.put(StreamsConfig.STATE_DIR_CONFIG, setting("DIRECTORY"));
    properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, setting("GUARANTEE"));
    properties.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, setting("THREADS"));
    properties.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64 * 1024 * 1024);
    properties.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
    properties.put(consumer(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    properties.put(consumer(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
    properties.put(producer(ProducerConfig.ACKS_CONFIG), "all");
    properties.put(producer(ProducerConfig.LINGER_MS_CONFIG), 20);
    properties.put(producer(ProducerConfig.BATCH_SIZE_CONFIG), 512 * 1024);
    properties.put(producer(ProducerConfig.BUFFER_MEMORY_CONFIG), 64 * 1024 * 1024);
    return properties;
  }

  private static String consumer(String name) {
    return StreamsConfig.mainConsumerPrefix(name);
  }

  private static String producer(String name) {
    return StreamsConfig.producerPrefix(name);
  }

  private static void waitUntilDone(String group) throws Exception {
    try (Admin admin = Admin.create(Map.of("bootstrap.servers", setting("SERVERS")))) {
      Map<TopicPartition, Long> ends = ends(admin);
      while (!ends.equals(committed(admin, group, ends))) {
        Thread.sleep(Duration.ofMillis(200).toMillis());
      }
    }
  }

  private static Map<TopicPartition, Long> ends(Admin admin) throws Exception {
    String source = setting("SOURCE");
    var partitions = admin.describeTopics(List.of(source)).allTopicNames().get();
    var latest =
        partitions.get(source).partitions().stream()
            .collect(
                Collectors.toMap(
                    info -> new TopicPartition(source, info.partition()),
                    info -> OffsetSpec.latest()));
    Map<TopicPartition, Long> ends = new HashMap<>();
    admin.listOffsets(latest).all().get().forEach((tp, info) -> ends.put(tp, info.offset()));
    return ends;
  }

  private static Map<TopicPartition, Long> committed(
      Admin admin, String group, Map<TopicPartition, Long> ends) throws Exception {
    Map<TopicPartition, Long> offsets = new HashMap<>();
    Map<TopicPartition, OffsetAndMetadata> found =
        admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
    found.forEach(
        (tp, offset) -> {
          if (ends.containsKey(tp) && offset != null) {
            offsets.put(tp, offset.offset());
          }
        });
    return offsets;
  }
}
