import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.time.LocalDate;
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
public final class Peer {
    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static final int STATE = TrendFilter.WIDTH + Regions.WIDTH;
    private static long left, records, opened, countFrom, beganNs, beganCpuNs;

    public static void main(String[] arguments) throws IOException {
        JsonNode task = new ObjectMapper().readTree(arguments[0]);
        records = left = task.get("records").asLong();
        countFrom = task.get("count_from").asLong();
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

    private static void done(int opens) {
        if (beganNs == 0) {
            beganNs = System.nanoTime();
            beganCpuNs = SYSTEM.getProcessCpuTime();
        }
        opened += opens;
        if (--left > 0) return;
        double wallS = (System.nanoTime() - beganNs) / 1e9, cpuS = (SYSTEM.getProcessCpuTime() - beganCpuNs) / 1e9;
        System.out.printf(java.util.Locale.ROOT, "{\"records\": %d, \"wall_s\": %f, \"cpu_s\": %f, \"opened\": %d}%n",
                records, wallS, cpuS, opened);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    private static final class Filter implements Processor<String, byte[], Void, Void> {
        private final JsonFactory json = new JsonFactory();
        private final TrendFilter filter;
        private final Regions regions;
        private final double[] trend = new double[TrendFilter.WIDTH], region = new double[Regions.WIDTH];
        private KeyValueStore<String, byte[]> states;
        private String assetId, day;
        private double count;

        Filter(Params params) {
            filter = new TrendFilter(params);
            regions = new Regions(params);
        }

        @Override
        public void init(ProcessorContext<Void, Void> context) {
            states = context.getStateStore("states");
        }

        @Override
        public void process(Record<String, byte[]> record) {
            done(decode(record.value()) ? advance() : 0);
        }

        /** Whether it is a trend record; then its fields are set. */
        private boolean decode(byte[] value) {
            assetId = null;
            try (JsonParser parser = json.createParser(value)) {
                boolean wanted = false;
                while (parser.nextToken() != JsonToken.END_OBJECT) {
                    if (parser.currentToken() != JsonToken.FIELD_NAME) continue;
                    String name = parser.currentName();
                    parser.nextToken();
                    switch (name) {
                        case "type" -> wanted = "trend-record.v1".equals(parser.getText());
                        case "asset_id" -> assetId = parser.getText();
                        case "day" -> day = parser.getText();
                        case "count" -> count = parser.getDoubleValue();
                        default -> { }
                    }
                }
                return wanted;
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }

        private int advance() {
            long epochDay = LocalDate.parse(day).toEpochDay();
            byte[] held = states.get(assetId);
            if (held == null) {
                java.util.Arrays.fill(trend, 0.0);
                java.util.Arrays.fill(region, 0.0);
                trend[TrendFilter.AGE] = -1.0;
            } else {
                ByteBuffer cells = ByteBuffer.wrap(held);
                for (int i = 0; i < trend.length; i++) trend[i] = cells.getFloat();
                for (int i = 0; i < region.length; i++) region[i] = cells.getFloat();
            }
            filter.step(trend, count, (int) Math.floorMod(epochDay + 3, 7L));
            int opens = regions.follow(region, count, epochDay + 719_163, filter.out);
            ByteBuffer cells = ByteBuffer.allocate(4 * STATE);
            for (double value : trend) cells.putFloat((float) value);
            for (double value : region) cells.putFloat((float) value);
            states.put(assetId, cells.array());
            return epochDay + 719_163 < countFrom ? 0 : opens;
        }
    }
}
