/** What is held of one asset: its filter and its regions, in single precision as Cuepoint holds them. */
final class AssetState {
    private static final int TREND = TrendFilter.WIDTH, REGION = Regions.WIDTH;
    static final int WIDTH = TREND + REGION;
    private final TrendFilter filter;
    private final Regions regions;
    private final double[] trend = new double[TREND], region = new double[REGION];

    AssetState(Params params) {
        filter = new TrendFilter(params);
        regions = new Regions(params);
    }

    /** An asset never seen. */
    static float[] fresh() {
        float[] cells = new float[WIDTH];
        cells[TrendFilter.AGE] = -1.0f;
        return cells;
    }

    /** Advance the cells by the record's day; how many regions were opened. */
    int advance(float[] cells, TrendRecord record) {
        for (int i = 0; i < TREND; i++) trend[i] = cells[i];
        for (int i = 0; i < REGION; i++) region[i] = cells[TREND + i];
        filter.step(trend, record.count, (int) Math.floorMod(record.epochDay + 3, 7L));
        int opens = regions.follow(region, record.count, record.epochDay + 719_163, filter.out);
        for (int i = 0; i < TREND; i++) cells[i] = (float) trend[i];
        for (int i = 0; i < REGION; i++) cells[TREND + i] = (float) region[i];
        return opens;
    }
}
