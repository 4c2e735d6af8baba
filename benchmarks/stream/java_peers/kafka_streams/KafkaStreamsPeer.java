import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** Kafka Streams: a processor with a state store in memory, one record at a time. First argument: the task as JSON. */
public final class KafkaStreamsPeer {
    public static void main(String[] arguments) throws IOException {
        JsonNode task = new ObjectMapper().readTree(arguments[0]);
        Meter.expect(task);
        Params params = new Params(task.get("trend"), task.get("region"));
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, task.get("group").asText());
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, task.get("broker").asText());
        settings.put(StreamsConfig.STATE_DIR_CONFIG, task.get("folder").asText());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        settings.put("auto.offset.reset", "earliest");
        settings.put("max.poll.records", 10_000);
        settings.put("max.partition.fetch.bytes", 4 << 20);
        Topology topology = new Topology();
        topology.addSource("records", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(),
                task.get("topic").asText());
        topology.addProcessor("filter", () -> new Filter(params), "records");
        topology.addStateStore(Stores.keyValueStoreBuilder(
                Stores.inMemoryKeyValueStore("states"), Serdes.String(), Serdes.ByteArray())
                .withLoggingDisabled().withCachingDisabled(), "filter");
        new KafkaStreams(topology, settings).start();
    }

    private static final class Filter implements Processor<String, byte[], Void, Void> {
        private final AssetState state;
        private final float[] cells = new float[AssetState.WIDTH];
        private KeyValueStore<String, byte[]> states;

        Filter(Params params) {
            state = new AssetState(params);
        }

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            states = context.getStateStore("states");
        }

        @Override
        public void process(Record<String, byte[]> message) {
            TrendRecord record = TrendRecord.of(message.value());
            Meter.done(record, record == null ? 0 : advance(record));
        }

        private int advance(TrendRecord record) {
            byte[] held = states.get(record.assetId);
            if (held == null) System.arraycopy(AssetState.fresh(), 0, cells, 0, cells.length);
            else ByteBuffer.wrap(held).asFloatBuffer().get(cells);
            int opens = state.advance(cells, record);
            byte[] kept = new byte[4 * AssetState.WIDTH];
            ByteBuffer.wrap(kept).asFloatBuffer().put(cells);
            states.put(record.assetId, kept);
            return opens;
        }
    }
}
