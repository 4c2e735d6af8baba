import com.fasterxml.jackson.databind.JsonNode;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;

/** From the first record to the last, wall and CPU; the last one reports and ends the process. */
final class Meter {
    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    private static long left, records, countFrom, opened, beganNs, beganCpuNs;

    /** The task as JSON; regions opened before its day {@code count_from} are not counted. */
    static void expect(JsonNode task) {
        records = left = task.get("records").asLong();
        countFrom = task.get("count_from").asLong();
    }

    /** One more record is done (null: another kind of message), and {@code opens} regions of change were opened by it. */
    static void done(TrendRecord record, int opens) {
        if (beganNs == 0) {
            beganNs = System.nanoTime();
            beganCpuNs = SYSTEM.getProcessCpuTime();
        }
        if (record != null && record.epochDay + 719_163 >= countFrom) opened += opens;
        if (--left > 0) return;
        double wallS = (System.nanoTime() - beganNs) / 1e9, cpuS = (SYSTEM.getProcessCpuTime() - beganCpuNs) / 1e9;
        System.out.printf(java.util.Locale.ROOT, "{\"records\": %d, \"wall_s\": %f, \"cpu_s\": %f, \"opened\": %d}%n",
                records, wallS, cpuS, opened);
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }
}
