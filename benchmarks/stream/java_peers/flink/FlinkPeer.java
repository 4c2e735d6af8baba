import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;

/**
 * Apache Flink in one process: a keyed function with its state on the heap, everything chained into one task (Kafka's
 * records are keyed already, so nothing is shuffled), objects reused, no checkpoints. First argument: the task as JSON.
 */
public final class FlinkPeer {
    public static void main(String[] arguments) throws Exception {
        JsonNode task = new ObjectMapper().readTree(arguments[0]);
        StreamExecutionEnvironment flink = StreamExecutionEnvironment.createLocalEnvironment(1, new Configuration());
        flink.getConfig().enableObjectReuse();
        KafkaSource<TrendRecord> source = KafkaSource.<TrendRecord>builder()
                .setBootstrapServers(task.get("broker").asText())
                .setTopics(task.get("topic").asText())
                .setGroupId(task.get("group").asText())
                .setStartingOffsets(OffsetsInitializer.earliest())
                .setProperty("max.poll.records", "10000")
                .setProperty("max.partition.fetch.bytes", String.valueOf(4 << 20))
                .setValueOnlyDeserializer(new Decoder())
                .build();
        DataStreamUtils.reinterpretAsKeyedStream(
                        flink.fromSource(source, WatermarkStrategy.noWatermarks(), "records"), record -> record.assetId, Types.STRING)
                .process(new Filter(arguments[0]))
                .sinkTo(new DiscardingSink<>());
        flink.execute();
    }

    private static final class Decoder extends AbstractDeserializationSchema<TrendRecord> {
        @Override
        public TrendRecord deserialize(byte[] value) {
            TrendRecord record = TrendRecord.of(value);
            if (record == null) Meter.done(null, 0);
            return record; // null: nothing is sent on
        }
    }

    private static final class Filter extends KeyedProcessFunction<String, TrendRecord, Integer> {
        private final String task;
        private transient AssetState state;
        private transient ValueState<float[]> cells;

        Filter(String task) {
            this.task = task;
        }

        @Override
        public void open(OpenContext context) throws IOException {
            JsonNode told = new ObjectMapper().readTree(task);
            Meter.expect(told);
            state = new AssetState(new Params(told.get("trend"), told.get("region")));
            cells = getRuntimeContext().getState(
                    new ValueStateDescriptor<>("cells", PrimitiveArrayTypeInfo.FLOAT_PRIMITIVE_ARRAY_TYPE_INFO));
        }

        @Override
        public void processElement(TrendRecord record, Context context, Collector<Integer> out) throws IOException {
            float[] held = cells.value();
            if (held == null) cells.update(held = AssetState.fresh()); // the heap keeps the array itself
            Meter.done(record, state.advance(held, record));
        }
    }
}
