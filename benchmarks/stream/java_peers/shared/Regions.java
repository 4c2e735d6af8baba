/** Regions of change of one asset: cuepoint/models/region_kernel.py, line by line, for assets with data. */
final class Regions {
    static final int CODE = 0, START = 1, REF_LEVEL = 2, REF_TREND = 3, QUIET = 4, PROBABILITY = 5, C_SIGN = 6, C_START = 7;
    static final int C_LEVEL = 8, C_TREND = 9, LAST = 10, EFFECT = 11, NORMAL = 12, DAYS = 13, REF_VARIANCE = 14, ERROR = 15;
    static final int WIDTH = 16;
    private final Params h;
    private double probability;

    Regions(Params params) {
        h = params;
    }

    /** Advance the regions s (WIDTH values) by a day; f: what the filter gave. How many were opened. */
    int follow(double[] s, double count, double day, double[] f) {
        s[C_LEVEL] += s[C_TREND];
        s[C_TREND] *= h.regionDamping;
        s[REF_LEVEL] += s[REF_TREND];
        s[REF_TREND] *= h.regionDamping;
        double sign = Math.signum(f[TrendFilter.RISE]), code = 0.0;
        if (sign != s[C_SIGN] || day - s[LAST] > h.silentDays) {
            s[C_SIGN] = sign;
            s[C_START] = day;
            s[C_LEVEL] = f[TrendFilter.PRIOR_LEVEL];
            s[C_TREND] = f[TrendFilter.PRIOR_TREND];
        }
        if (s[LAST] > 0.0 && f[TrendFilter.OUT_AGE] + 1.0 >= h.waitDays) code = signal(f);
        int opened = s[CODE] != 0.0 || code != 0.0 ? speak(s, f, code, day, count) : 0;
        s[LAST] = day;
        return opened;
    }

    private double signal(double[] f) {
        double rise = f[TrendFilter.RISE], still = f[TrendFilter.P_STILL];
        if (f[TrendFilter.P_SAME] < h.pRapid) {
            probability = 1.0 - f[TrendFilter.P_SAME];
            return f[TrendFilter.RUN] > 0.0 ? 1.0 : -1.0;
        }
        probability = 1.0 - still;
        if (still < h.pGradual) return rise > 0.0 ? 2.0 : -2.0;
        boolean risen = f[TrendFilter.RISEN] >= h.youngRise && rise > h.youngSum;
        return f[TrendFilter.OUT_AGE] < h.regionYoungDays && risen ? 2.0 : 0.0;
    }

    private int speak(double[] s, double[] f, double code, double day, double count) {
        int opened = 0;
        double expected = 0.0;
        if (s[CODE] != 0.0) {
            if (code * s[CODE] > 0.0) s[PROBABILITY] = Math.max(s[PROBABILITY], probability);
            boolean calm = f[TrendFilter.P_STILL] > h.quietP || Math.abs(f[TrendFilter.OUT_TREND]) < h.quietTrend;
            s[QUIET] = f[TrendFilter.P_SAME] > h.quietP && calm ? s[QUIET] + 1.0 : 0.0;
            if (code * s[CODE] < 0.0 || s[QUIET] >= h.settleDays || day - s[START] >= h.longestDays) {
                s[CODE] = s[C_SIGN] = 0.0;
            } else {
                expected = expected(s, f);
            }
        }
        if (s[CODE] == 0.0 && code != 0.0 && open(s, f, code, day, Math.log1p(count))) {
            expected = expected(s, f);
            opened = 1;
        }
        if (s[CODE] != 0.0) {
            s[EFFECT] += count - expected;
            s[NORMAL] += expected;
            s[DAYS] += 1.0;
            s[ERROR] += expected * Math.sqrt(s[REF_VARIANCE] * (1.0 + h.driftShare * s[DAYS]));
        }
        return opened;
    }

    private static double expected(double[] s, double[] f) {
        return Math.max(0.0, Math.expm1(Math.min(60.0, s[REF_LEVEL] + f[TrendFilter.DAY_OFFSET])));
    }

    private boolean open(double[] s, double[] f, double code, double day, double y) {
        boolean alone = Math.abs(code) < 1.5 && f[TrendFilter.LAG] < 0.5;
        double start = day, level = f[TrendFilter.PRIOR_LEVEL], trend = f[TrendFilter.PRIOR_TREND];
        if (!alone && s[C_SIGN] * code > 0.0) {
            start = s[C_START];
            level = s[C_LEVEL];
            trend = s[C_TREND];
        }
        if ((y - f[TrendFilter.DAY_OFFSET] - level) * code < h.leastChange * Math.abs(code)) return false;
        s[CODE] = code;
        s[START] = start;
        s[REF_LEVEL] = level;
        s[REF_TREND] = trend;
        s[QUIET] = s[EFFECT] = s[NORMAL] = s[DAYS] = s[ERROR] = 0.0;
        s[PROBABILITY] = probability;
        s[REF_VARIANCE] = f[TrendFilter.UPPER_95];
        return true;
    }
}
