import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.LocalDate;

/** The fields of a trend record that the filter needs. */
final class TrendRecord {
    private static final JsonFactory JSON = new JsonFactory();
    String assetId;
    long epochDay;
    double count;

    /** What the JSON says, or null for another kind of message. */
    static TrendRecord of(byte[] value) {
        TrendRecord found = new TrendRecord();
        String day = null;
        try (JsonParser parser = JSON.createParser(value)) {
            boolean wanted = false;
            while (parser.nextToken() != JsonToken.END_OBJECT) {
                if (parser.currentToken() != JsonToken.FIELD_NAME) continue;
                String name = parser.currentName();
                parser.nextToken();
                switch (name) {
                    case "type" -> wanted = "trend-record.v1".equals(parser.getText());
                    case "asset_id" -> found.assetId = parser.getText();
                    case "day" -> day = parser.getText();
                    case "count" -> found.count = parser.getDoubleValue();
                    default -> { }
                }
            }
            if (!wanted) return null;
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        found.epochDay = LocalDate.parse(day).toEpochDay();
        return found;
    }
}
