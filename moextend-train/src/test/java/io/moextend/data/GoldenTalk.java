package io.moextend.data;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.Golden;
import io.moextend.text.ImagePlaces;
import io.moextend.text.SegmentPrefix;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.util.stream.IntStream;

/** The golden conversations, their tokenizers and what encodes them. */
final class GoldenTalk {
  static final int PATCHES = 16; // of the golden samples' tower

  private GoldenTalk() {}

  static JsonNode json(String name) throws IOException {
    return new ObjectMapper().readTree(Golden.path("moiie/preprocessing/" + name).toFile());
  }

  static int[] ints(JsonNode array) {
    return IntStream.range(0, array.size()).map(i -> array.get(i).asInt()).toArray();
  }

  @MustBeClosed
  static Tokenizer tokenizer(String name) {
    return Tokenizer.open(Golden.path("moiie/tokenizers/" + name), SegmentPrefix.AS_FILE);
  }

  static Sample sample(JsonNode json) {
    return SampleFormat.read(json, "talk.json", 1, KeptTurns.ALL_BEHIND_AN_ANSWER);
  }

  static Sample sample(String json) throws IOException {
    return sample(new ObjectMapper().readTree(json));
  }

  static ConversationEncoder encoder(
      Tokenizer tokenizer, ConversationTemplate template, int maxLength, OverLength overLength) {
    return new ConversationEncoder(
        new ImagePlaces(tokenizer, PATCHES), template, maxLength, overLength);
  }

  /** [rows · length], 1 at image patches. */
  static byte[] types(Batch batch) {
    byte[] types = new byte[batch.ids().length];
    for (int position : batch.imagePositions()) {
      types[position] = 1;
    }
    return types;
  }

  static Picture picture() {
    return new Picture(Golden.path("README.md"), "", new float[3]);
  }
}
