package io.moextend.data;

import static io.moextend.data.GoldenTalk.PATCHES;
import static io.moextend.data.GoldenTalk.encoder;
import static io.moextend.data.GoldenTalk.ints;
import static io.moextend.data.GoldenTalk.json;
import static io.moextend.data.GoldenTalk.picture;
import static io.moextend.data.GoldenTalk.sample;
import static io.moextend.data.GoldenTalk.tokenizer;
import static io.moextend.data.GoldenTalk.types;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.moextend.moe.Modalities;
import io.moextend.text.EncodedText;
import io.moextend.text.ImagePlaces;
import io.moextend.text.ImageSpan;
import io.moextend.text.TokenBuffer;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Rows and batches as the published code makes them. */
class ConversationGoldenTest {
  /** Puts the place of an image back where its patches stand. */
  private static int[] narrow(int[] values, List<ImageSpan> spans, int place) {
    TokenBuffer out = new TokenBuffer();
    int at = 0;
    for (ImageSpan span : spans) {
      out.addAll(Arrays.copyOfRange(values, at, span.firstSlot()));
      out.add(place);
      at = span.end();
    }
    out.addAll(Arrays.copyOfRange(values, at, values.length));
    return out.toArray();
  }

  @TestFactory
  List<DynamicTest> goldenSamplesBecomeThePublishedRows() throws IOException {
    JsonNode talk = json("talk.json");
    assertThat(talk.get("vision_token_num").asInt()).isEqualTo(PATCHES);
    List<DynamicTest> tests = new ArrayList<>();
    for (var entry : talk.get("templates").properties()) {
      JsonNode template = entry.getValue();
      String key = entry.getKey().split(" ")[0];
      JsonNode samples = json(key.equals("plain") ? "plain.json" : "train.json");
      assertThat(template.get("samples")).hasSize(samples.size());
      for (int i = 0; i < samples.size(); i++) {
        JsonNode from = samples.get(i);
        JsonNode wanted = template.get("samples").get(i);
        tests.add(
            DynamicTest.dynamicTest(
                entry.getKey() + " " + wanted.get("id").asText(),
                () -> {
                  try (Tokenizer tokenizer = tokenizer(template.get("tokenizer").asText())) {
                    ConversationEncoder encoder =
                        encoder(
                            tokenizer,
                            ConversationTemplate.named(key),
                            template.get("model_max_length").asInt(),
                            OverLength.REJECT);
                    assertThat(encoder.pad()).isEqualTo(template.get("pad_token_id").asInt());
                    assertThat(encoder.end()).isEqualTo(template.get("eos_token_id").asInt());
                    compare(encoder.encode(sample(from)).orElseThrow(), wanted);
                  }
                }));
      }
    }
    assertThat(tests).hasSize(29);
    return tests;
  }

  private static void compare(EncodedSample row, JsonNode wanted) {
    assertThat(narrow(row.ids(), row.spans(), ImagePlaces.PLACE))
        .isEqualTo(ints(wanted.get("input_ids")));
    assertThat(narrow(row.labels(), row.spans(), EncodedSample.IGNORED))
        .isEqualTo(ints(wanted.get("labels")));
    assertThat(row.mask()).containsOnly(1);
    int images = wanted.get("has_image").asBoolean() ? 1 : 0;
    assertThat(row.spans()).hasSize(images).allMatch(span -> span.slots() == PATCHES);
    for (ImageSpan span : row.spans()) {
      assertThat(Arrays.copyOfRange(row.labels(), span.firstSlot(), span.end()))
          .containsOnly(EncodedSample.IGNORED);
    }
    JsonNode published = wanted.get("token_type_ids");
    if (published.isNull()) { // the published "plain" lacks them
      byte[] wide = new byte[row.length()];
      Arrays.fill(wide, row.spans().getFirst().firstSlot(), row.spans().getFirst().end(), (byte) 1);
      assertThat(types(one(row))).isEqualTo(wide);
    } else {
      assertThat(types(one(row))).containsExactly(ints(published));
    }
    String warning = wanted.get("stdout").asText();
    assertThat(row.doubt().isEmpty()).isEqualTo(warning.isEmpty());
    if (!warning.isEmpty()) {
      String[] numbers = warning.replaceAll("[^0-9]+", " ").strip().split(" ");
      assertThat(row.doubt())
          .isEqualTo(
              "its rounds make %s ids and its row has %s, so nothing of it is learnt; does an answer hold ASSISTANT: or %s?"
                  .formatted(numbers[0], numbers[1], sign(wanted.get("prompt").asText())));
      assertThat(row.lossPositions()).isZero();
    }
  }

  private static String sign(String prompt) {
    return prompt.substring(prompt.lastIndexOf('<'));
  }

  private static Batch one(EncodedSample row) {
    List<Picture> pictures = row.spans().stream().map(_ -> picture()).toList();
    return new Collator(0, 0, 1).collate(List.of(row), pictures);
  }

  @ParameterizedTest
  @ValueSource(ints = {120, 256})
  void theGoldenBatchesComeOutAsPublished(int maxLength) throws IOException {
    GoldenTensors wanted = new GoldenTensors("moiie/preprocessing/talk.safetensors");
    String prefix = "batch.tok_phi3.max" + maxLength + ".";
    try (Tokenizer tokenizer = tokenizer("tok_phi3")) {
      ConversationEncoder encoder =
          encoder(tokenizer, ConversationTemplate.PHI3, maxLength, OverLength.TRUNCATE);
      JsonNode samples = json("train.json");
      List<EncodedSample> rows = new ArrayList<>();
      List<Picture> pictures = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        EncodedSample row = encoder.encode(sample(samples.get(i))).orElseThrow();
        rows.add(row);
        row.spans().forEach(_ -> pictures.add(picture()));
      }
      Batch batch = new Collator(encoder.pad(), 0, 1).collate(rows, pictures);
      byte[] seen = wanted.bytes(prefix + "attention_mask");
      int narrow = seen.length / 4;
      Widened expected =
          new Widened(
              wanted.longs(prefix + "input_ids"), wanted.longs(prefix + "labels"), seen, narrow);
      int[] types = wanted.longs(prefix + "token_type_ids");
      assertThat(batch.length()).isEqualTo(types.length / 4);
      for (int row = 0; row < 4; row++) {
        expected.compare(batch, row, maxLength, encoder.pad());
      }
      // the published types are padded with the filler's id, which stands for a word as 0 does
      assertThat(types(batch))
          .containsExactly(Arrays.stream(types).map(type -> type == 1 ? 1 : 0).toArray());
    }
  }

  /** The published batch, [4, narrow], its images not widened yet. */
  private record Widened(int[] ids, int[] labels, byte[] mask, int narrow) {
    /** Widens a row as the published merging does and compares ours with it. */
    void compare(Batch batch, int row, int maxLength, int pad) {
      int[] wide = new int[batch.length()];
      int[] learnt = new int[batch.length()];
      byte[] seen = new byte[batch.length()];
      Arrays.fill(wide, pad);
      Arrays.fill(learnt, EncodedSample.IGNORED);
      int to = 0;
      for (int t = row * narrow; t < (row + 1) * narrow && mask[t] == 1; t++) {
        for (int i = 0; i < (ids[t] == ImagePlaces.PLACE ? PATCHES : 1) && to < maxLength; i++) {
          wide[to] = ids[t] == ImagePlaces.PLACE ? 0 : ids[t];
          learnt[to] = labels[t];
          seen[to++] = 1;
        }
      }
      int from = row * batch.length();
      int end = from + batch.length();
      assertThat(Arrays.copyOfRange(batch.ids(), from, end)).isEqualTo(wide);
      assertThat(Arrays.copyOfRange(batch.labels(), from, end)).isEqualTo(learnt);
      assertThat(Arrays.copyOfRange(batch.mask(), from, end)).isEqualTo(seen);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"moiie_phi3", "moiie_llama3"})
  void theGoldenTrainingBatchMergesAsPublished(String name) throws IOException {
    GoldenTensors wanted = new GoldenTensors("moiie/preprocessing/talk.safetensors");
    int[] ids = wanted.longs(name + ".input_ids");
    int[] labels = wanted.longs(name + ".labels");
    byte[] mask = wanted.bytes(name + ".attention_mask");
    Sample sample = sample(json("train.json").get(0));
    List<EncodedSample> rows = new ArrayList<>();
    List<Picture> pictures = new ArrayList<>();
    try (Tokenizer tokenizer = tokenizer("tok_phi3")) {
      ImagePlaces places = new ImagePlaces(tokenizer, PATCHES);
      for (int row = 0; row < 3; row++) {
        int from = row * 25;
        int length = (int) IntStream.range(from, from + 25).filter(t -> mask[t] == 1).count();
        int[] own = Arrays.copyOfRange(ids, from, from + length);
        int[] learnt = Arrays.copyOfRange(labels, from, from + length);
        List<String> images =
            Arrays.stream(own).anyMatch(id -> id == ImagePlaces.PLACE)
                ? List.of("x.png")
                : List.of();
        EncodedText wide = places.widen(own, images);
        byte[] seen = new byte[wide.ids().length];
        Arrays.fill(seen, (byte) 1);
        rows.add(
            new EncodedSample(
                sample,
                wide.ids(),
                places.widen(own, learnt, EncodedSample.IGNORED),
                seen,
                wide.spans()));
        images.forEach(_ -> pictures.add(picture()));
      }
    }
    Batch batch = new Collator(95, 0, 1).collate(rows, pictures);
    assertThat(batch.length()).isEqualTo(40);
    assertThat(batch.labels()).isEqualTo(wanted.longs(name + ".merged.labels"));
    assertThat(batch.mask()).isEqualTo(wanted.bytes(name + ".merged.attention_mask"));
    byte[] vision = wanted.bytes(name + ".vision_token_mask");
    assertThat(Modalities.kinds(types(batch), batch.length()))
        .containsExactly(IntStream.range(0, vision.length).map(t -> vision[t]).toArray());
    assertThat(types(batch))
        .containsExactly(
            Arrays.stream(wanted.longs(name + ".merged.token_type_ids"))
                .map(type -> type == 1 ? 1 : 0)
                .toArray());
  }
}
