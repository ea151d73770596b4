package io.moextend.config;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.moextend.config.DecoderConfig.Rope;
import io.moextend.config.DecoderType.Family;
import io.moextend.config.RopeScaling.ByLength;
import io.moextend.config.RopeScaling.ByLength.Form;
import io.moextend.config.RopeScaling.ByWavelength;
import java.util.List;
import java.util.Set;

/**
 * Rotary positions in a decoder's config.json: {@code rope_theta} and {@code rope_scaling}, or
 * {@code rope_parameters}, where newer files keep both.
 */
final class RopeJson {
  private static final double THETA = 10_000;
  private static final String SCALING = "rope_scaling";
  private static final String PARAMETERS = "rope_parameters";
  private static final String ORIGINAL = "original_max_position_embeddings";

  private RopeJson() {}

  /**
   * @param halfHead frequencies of a head: half its width
   */
  static Rope read(JsonFields fields, Family family, int halfHead) {
    int positions = fields.count("max_position_embeddings", 1);
    if (fields.has(PARAMETERS)) {
      JsonFields rope = fields.object(PARAMETERS);
      rope.only("partial_rotary_factor", 1);
      return new Rope(
          rope.positive("rope_theta"), positions, scaling(fields, rope, family, halfHead));
    }
    double theta =
        family == Family.MIXTRAL
            ? fields.positive("rope_theta")
            : fields.positive("rope_theta", THETA);
    RopeScaling scaling =
        fields.has(SCALING)
            ? scaling(fields, fields.object(SCALING), family, halfHead)
            : new RopeScaling.None();
    return new Rope(theta, positions, scaling);
  }

  private static RopeScaling scaling(
      JsonFields fields, JsonFields rope, Family family, int halfHead) {
    // older files say type, newer rope_type, some both
    String field = rope.has("rope_type") ? "rope_type" : "type";
    String type = rope.text(field, "default");
    return switch (family) {
      case PHI3 ->
          switch (type) {
            case "default" -> new RopeScaling.None();
            case "su", "longrope" -> byLength(fields, rope, Form.LONGROPE, halfHead);
            case "yarn" -> byLength(fields, rope, Form.YARN, halfHead);
            default ->
                throw rope.wrong(
                    field, "only \"default\", \"su\", \"longrope\" and \"yarn\" are supported");
          };
      case LLAMA ->
          switch (type) {
            case "default" -> new RopeScaling.None();
            case "llama3" -> byWavelength(rope);
            default -> throw rope.wrong(field, "only \"default\" and \"llama3\" are supported");
          };
      case MIXTRAL, MISTRAL, QWEN2 -> {
        if (!type.equals("default")) {
          throw rope.wrong(field, "only \"default\" is supported: positions are not rescaled");
        }
        yield new RopeScaling.None();
      }
    };
  }

  private static ByLength byLength(JsonFields fields, JsonFields rope, Form form, int halfHead) {
    rope.nothingBut(
        Set.of(
            "type",
            "rope_type",
            "rope_theta",
            "partial_rotary_factor",
            "short_factor",
            "long_factor",
            ORIGINAL));
    int original = (fields.has(ORIGINAL) ? fields : rope).count(ORIGINAL, 1);
    return new ByLength(
        form,
        original,
        factors(rope, "short_factor", halfHead),
        factors(rope, "long_factor", halfHead));
  }

  private static List<Double> factors(JsonFields rope, String field, int halfHead) {
    List<Double> factors = rope.positives(field);
    if (factors.size() != halfHead) {
      throw rope.wrong(field, "needs %d factors, one for each pair of a head".formatted(halfHead));
    }
    return factors;
  }

  private static ByWavelength byWavelength(JsonFields rope) {
    rope.nothingBut(
        Set.of(
            "type",
            "rope_type",
            "rope_theta",
            "partial_rotary_factor",
            "factor",
            "low_freq_factor",
            "high_freq_factor",
            ORIGINAL));
    return new ByWavelength(
        rope.positive("factor"),
        rope.positive("low_freq_factor"),
        rope.positive("high_freq_factor"),
        rope.count(ORIGINAL, 1));
  }

  static void write(Rope rope, ObjectNode json) {
    json.put("max_position_embeddings", rope.maxPositions());
    json.put("rope_theta", rope.theta());
    switch (rope.scaling()) {
      case RopeScaling.None _ -> {}
      case ByLength by -> {
        json.put(ORIGINAL, by.originalPositions());
        ObjectNode scaling = JsonNodeFactory.instance.objectNode();
        scaling.put(
            "type",
            switch (by.form()) {
              case LONGROPE -> "longrope";
              case YARN -> "yarn";
            });
        var shorter = scaling.putArray("short_factor");
        by.shortFactors().forEach(shorter::add);
        var longer = scaling.putArray("long_factor");
        by.longFactors().forEach(longer::add);
        json.set(SCALING, scaling);
      }
      case ByWavelength by ->
          json.putObject(SCALING)
              .put("factor", by.factor())
              .put("high_freq_factor", by.highFrequency())
              .put("low_freq_factor", by.lowFrequency())
              .put(ORIGINAL, by.originalPositions())
              .put("rope_type", "llama3");
    }
  }
}
