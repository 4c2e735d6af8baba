import com.fasterxml.jackson.databind.JsonNode;

/** cuepoint.models.trend_params and region_params, as the benchmark hands them over. */
final class Params {
    final double observationVariance, levelVariance, trendVariance, seasonVariance, damping, tail, youngBoost, youngDays;
    final double youngDrift, newLevel, newLevelSd, newTrend, newTrendSd, dayPriorSd, scaleMemoryDays, scalePriorDays;
    final double noisePace, shiftScore, absentDays, absentFall, absentFallDays, gapDamping, gapSd, returnDays;
    final double windowsTried, tailWidth, surpriseSd, surpriseRate, surpriseScale, rampBound, rampAllowance, fallWeight;
    final double rampOffset, rampSlope;
    final double pRapid, pGradual, youngSum, regionYoungDays, youngRise, leastChange, quietP, quietTrend, settleDays;
    final double silentDays, longestDays, regionDamping, waitDays, driftShare;
    final double[] dayPrior = new double[6], byAge;

    Params(JsonNode t, JsonNode r) {
        observationVariance = t.get("observation_variance").asDouble();
        levelVariance = t.get("level_variance").asDouble();
        trendVariance = t.get("trend_variance").asDouble();
        seasonVariance = t.get("season_variance").asDouble();
        damping = t.get("damping").asDouble();
        tail = t.get("tail").asDouble();
        youngBoost = t.get("young_boost").asDouble();
        youngDays = t.get("young_days").asDouble();
        youngDrift = t.get("young_drift").asDouble();
        newLevel = t.get("new_level").asDouble();
        newLevelSd = t.get("new_level_sd").asDouble();
        newTrend = t.get("new_trend").asDouble();
        newTrendSd = t.get("new_trend_sd").asDouble();
        dayPriorSd = t.get("day_prior_sd").asDouble();
        scaleMemoryDays = t.get("scale_memory_days").asDouble();
        scalePriorDays = t.get("scale_prior_days").asDouble();
        noisePace = t.get("noise_pace").asDouble();
        shiftScore = t.get("shift_score").asDouble();
        absentDays = t.get("absent_days").asDouble();
        absentFall = t.get("absent_fall").asDouble();
        absentFallDays = t.get("absent_fall_days").asDouble();
        gapDamping = t.get("gap_damping").asDouble();
        gapSd = t.get("gap_sd").asDouble();
        returnDays = t.get("return_days").asDouble();
        windowsTried = t.get("windows_tried").asDouble();
        tailWidth = t.get("tail_width").asDouble();
        surpriseSd = t.get("surprise_sd").asDouble();
        surpriseRate = t.get("surprise_rate").asDouble();
        surpriseScale = t.get("surprise_scale").asDouble();
        rampBound = t.get("ramp_bound").asDouble();
        rampAllowance = t.get("ramp_allowance").asDouble();
        fallWeight = t.get("fall_weight").asDouble();
        rampOffset = t.get("ramp_offset").asDouble();
        rampSlope = t.get("ramp_slope").asDouble();
        for (int i = 0; i < 6; i++) dayPrior[i] = t.get("day_prior").get(i).asDouble();
        byAge = new double[Math.max(512, (int) Math.ceil(40.0 * youngDays))];
        for (int age = 0; age < byAge.length; age++) byAge[age] = Math.exp(-age / youngDays);
        pRapid = r.get("p_rapid").asDouble();
        pGradual = r.get("p_gradual").asDouble();
        youngSum = r.get("young_sum").asDouble();
        regionYoungDays = r.get("young_days").asDouble();
        youngRise = r.get("young_rise").asDouble();
        leastChange = r.get("least_change").asDouble();
        quietP = r.get("quiet_p").asDouble();
        quietTrend = r.get("quiet_trend").asDouble();
        settleDays = r.get("settle_days").asDouble();
        silentDays = r.get("silent_days").asDouble();
        longestDays = r.get("longest_days").asDouble();
        regionDamping = r.get("damping").asDouble();
        waitDays = r.get("wait_days").asDouble();
        driftShare = r.get("drift_share").asDouble();
    }
}
