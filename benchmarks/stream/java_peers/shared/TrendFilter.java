import org.apache.commons.math3.special.Erf;

/** One day of one asset: cuepoint/models/trend_kernel.py, line by line, for assets with data. Not thread safe. */
final class TrendFilter {
    static final int LEVEL = 0, TREND = 1, SEASON = 2, COVARIANCE = 8, SCALE = 44, LAST_SCORE = 45, AGE = 46, GAP = 47;
    static final int SCORES = 48, RISING = 55, FALLING = 56, ABSENT_DAYS = 57, NORMAL = 58, NOISE = 59, SPREAD = 60;
    static final int WIDTH = 61;
    static final int UPPER_95 = 4, OUT_TREND = 6, P_SAME = 7, RUN = 10, RISE = 11, PRIOR_LEVEL = 12, PRIOR_TREND = 13;
    static final int DAY_OFFSET = 14, OUT_AGE = 15, LAG = 16, RISEN = 17, P_STILL = 18, MEAN = 0, OUT_WIDTH = 19;
    private static final double ROOT_HALF = Math.sqrt(0.5), FORGET_NORMAL = 0.96, LEAST_SPREAD = 0.0009;
    private static final int[] SEASON_DIAGONAL = {15, 21, 26, 30, 33, 35};
    private static final int[][] PLACE = new int[8][8];

    static {
        int k = 0;
        for (int i = 0; i < 8; i++) for (int j = i; j < 8; j++) PLACE[i][j] = PLACE[j][i] = k++;
    }

    private final Params h;
    private final double[] p = new double[36], pb = new double[8];
    final double[] out = new double[OUT_WIDTH];

    TrendFilter(Params params) {
        h = params;
    }

    /** Advance the state s (WIDTH values) by a day (dow 0: Monday) with this count. */
    void step(double[] s, double count, int dow) {
        java.util.Arrays.fill(out, 0.0);
        out[P_SAME] = 1.0;
        System.arraycopy(s, COVARIANCE, p, 0, 36);
        if (s[AGE] >= 0.0) {
            day(s, count, dow);
        } else {
            begin(s, Math.log1p(count), dow);
            out[MEAN] = h.newLevel;
            out[UPPER_95] = h.newLevelSd * h.newLevelSd;
            out[PRIOR_LEVEL] = s[LEVEL];
            out[PRIOR_TREND] = s[TREND];
        }
        out[OUT_TREND] = s[TREND];
        System.arraycopy(p, 0, s, COVARIANCE, 36);
    }

    private void begin(double[] s, double y, int dow) {
        double[] d = h.dayPrior;
        java.util.Arrays.fill(s, 0.0);
        java.util.Arrays.fill(p, 0.0);
        for (int i = 0; i < 6; i++) s[SEASON + i] = d[i];
        s[LEVEL] = y - (dow < 6 ? d[dow] : -(d[0] + d[1] + d[2] + d[3] + d[4] + d[5]));
        s[TREND] = h.newTrend;
        double variance = h.dayPriorSd * h.dayPriorSd;
        for (int k = 15; k < 36; k++) p[k] = -variance / 7.0;
        for (int k : SEASON_DIAGONAL) p[k] += variance;
        for (int i = 2; i < 8; i++) {
            if (dow < 6) p[i] = -p[PLACE[2 + dow][i]];
            else for (int j = 2; j < 8; j++) p[i] += p[PLACE[j][i]];
        }
        p[0] = h.observationVariance + Math.exp(-y) + variance * 6.0 / 7.0;
        p[8] = h.newTrendSd * h.newTrendSd;
        s[SCALE] = s[NOISE] = 1.0;
        s[NORMAL] = s[LEVEL];
        s[SPREAD] = 0.02;
    }

    private void day(double[] s, double count, int dow) {
        double young = h.byAge[Math.min((int) s[AGE], h.byAge.length - 1)];
        predict(s, h.levelVariance * (1.0 + h.youngBoost * young), h.trendVariance, h.seasonVariance, h.damping);
        s[LEVEL] += h.youngDrift * young;
        double m = project(s, dow);
        out[DAY_OFFSET] = m - s[LEVEL];
        out[PRIOR_LEVEL] = s[LEVEL];
        out[PRIOR_TREND] = s[TREND];
        double structural = variance(dow) + h.observationVariance * s[NOISE];
        double counting = 1.0 / (Math.exp(Math.min(m, 40.0)) + 0.5) / s[SCALE];
        out[MEAN] = m;
        out[UPPER_95] = s[SCALE] * (structural + counting);
        out[OUT_AGE] = s[AGE];
        score(s, count, m, structural, counting);
    }

    private void predict(double[] s, double qLevel, double trendQ, double seasonQ, double phi) {
        s[LEVEL] += s[TREND];
        s[TREND] *= phi;
        double both = p[1] + p[8];
        p[0] += p[1] + both + qLevel;
        p[1] = both * phi;
        p[8] = p[8] * phi * phi + trendQ;
        for (int j = 2; j < 8; j++) {
            p[j] += p[7 + j];
            p[7 + j] *= phi;
        }
        for (int k = 15; k < 36; k++) p[k] -= seasonQ / 7.0;
        for (int k : SEASON_DIAGONAL) p[k] += seasonQ;
    }

    private double project(double[] s, int dow) {
        if (dow < 6) {
            for (int i = 0; i < 8; i++) pb[i] = p[PLACE[0][i]] + p[PLACE[2 + dow][i]];
            return s[LEVEL] + s[SEASON + dow];
        }
        for (int i = 0; i < 8; i++) {
            double rest = p[PLACE[0][i]];
            for (int j = 2; j < 8; j++) rest -= p[PLACE[j][i]];
            pb[i] = rest;
        }
        return s[LEVEL] - s[2] - s[3] - s[4] - s[5] - s[6] - s[7];
    }

    private double variance(int dow) {
        return dow < 6 ? pb[0] + pb[2 + dow] : pb[0] - pb[2] - pb[3] - pb[4] - pb[5] - pb[6] - pb[7];
    }

    private void score(double[] s, double count, double m, double structural, double counting) {
        double gain = pb[0] / (structural + counting);
        absorb(s, Math.log1p(count) - m, structural + counting);
        double own = h.tailWidth * structural * s[SCALE], chance = counting * s[SCALE];
        double v = own + h.surpriseSd * h.surpriseSd;
        double score = residual(count, Math.expm1(Math.min(Math.max(m, 0.0), 40.0)), v);
        s[GAP] = 0.0;
        s[ABSENT_DAYS] = 0.0;
        s[AGE] += 1.0;
        for (int k = 6; k > 0; k--) s[SCORES + k] = s[SCORES + k - 1];
        s[SCORES] = score;
        join(s, gain, score * Math.sqrt((v + chance) / (own + chance)));
    }

    private void absorb(double[] s, double error, double f) {
        double z2 = error * error / (s[SCALE] * f), nu = h.tail;
        double score = (8.0 * nu + 1.0) / (8.0 * nu + 3.0) * Math.sqrt(nu * Math.log1p(z2 / nu)), last = s[LAST_SCORE];
        if (error < 0.0) score = -score;
        boolean again = s[AGE] > 1.0 && s[GAP] < h.absentDays && score * last > 0.0;
        if (again && Math.min(Math.abs(score), Math.abs(last)) > h.shiftScore) {
            double extra = error * error / s[SCALE];
            p[0] += extra;
            pb[0] += extra;
            f += extra;
        } else {
            f *= Math.max(1.0, (nu + z2) / (nu + 1.0));
            double days = Math.min(h.scalePriorDays + s[AGE] + 1.0, h.scaleMemoryDays);
            double usual = Math.min(score * score, 9.0);
            s[SCALE] = Math.min(Math.max(s[SCALE] * (1.0 + (usual - 1.0) / days), 0.05), 20.0);
            if (s[GAP] < 1.0) {
                s[NOISE] *= 1.0 - h.noisePace * Math.min(Math.max(score * last, -2.0), 2.0);
                s[NOISE] = Math.min(Math.max(s[NOISE], 0.1), 1000.0);
            }
        }
        s[LAST_SCORE] = score;
        int k = 0;
        for (int i = 0; i < 8; i++) {
            double gain = pb[i] / f;
            s[i] += gain * error;
            for (int j = i; j < 8; j++) p[k++] -= gain * pb[j];
        }
    }

    private static double residual(double count, double expected, double v) {
        double a = v * (count + 0.375), b = v * (expected + 0.375);
        double ratio = (Math.sqrt(a) + Math.sqrt(a + 1.0)) / (Math.sqrt(b) + Math.sqrt(b + 1.0));
        return 2.0 / Math.sqrt(v) * Math.log(ratio);
    }

    private void join(double[] s, double gain, double ramp) {
        out[P_SAME] = doubt(strongest(s, gain));
        double bounded = Math.min(Math.max(ramp, -h.rampBound), h.rampBound);
        s[RISING] = Math.max(0.0, s[RISING] + bounded - h.rampAllowance);
        s[FALLING] = Math.max(0.0, s[FALLING] - bounded - h.rampAllowance);
        double falling = h.fallWeight * s[FALLING];
        out[RISE] = s[RISING] > falling ? s[RISING] : -falling;
        out[P_STILL] = Math.min(1.0, Math.exp(h.rampOffset - h.rampSlope * Math.abs(out[RISE])));
        double away = s[LEVEL] - s[NORMAL];
        out[RISEN] = away;
        double bound = Math.min(Math.max(away * away, LEAST_SPREAD), 9.0 * s[SPREAD]);
        s[SPREAD] += (bound - s[SPREAD]) / Math.min(s[AGE] + 5.0, 60.0);
        s[NORMAL] += (1.0 - FORGET_NORMAL) * away;
    }

    private double strongest(double[] s, double gain) {
        double left = Math.sqrt(Math.max(0.0, 1.0 - gain)), total = 0.0, norm = 0.0, best = 0.0, run = 0.0, lag = 0.0;
        for (int k = 0; k < Math.min(7, (int) s[AGE]); k++) {
            total = left * total + s[SCORES + k];
            norm = left * left * norm + 1.0;
            double strength = total * total / norm;
            if (strength > best) {
                best = strength;
                run = total;
                lag = k;
            }
        }
        out[RUN] = run;
        out[LAG] = lag;
        return Math.sqrt(best);
    }

    private double doubt(double strength) {
        double noise = h.windowsTried * Erf.erfc(strength * ROOT_HALF);
        if (strength < 1.5) return Math.min(1.0, noise);
        double ratio = strength / h.surpriseScale;
        return Math.min(1.0, noise + h.surpriseRate / (1.0 + ratio * ratio));
    }
}
