package io.moextend.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.errorprone.annotations.MustBeClosed;
import io.moextend.Golden;
import io.moextend.text.EncodedText;
import io.moextend.text.ImageSpan;
import io.moextend.text.ImageTokens;
import io.moextend.text.ImageTokens.SlotContent;
import io.moextend.text.SegmentPrefix;
import io.moextend.text.Tokenizer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;

class EncoderTest {
  private static int[] ints(JsonNode array) {
    return IntStream.range(0, array.size()).map(i -> array.get(i).asInt()).toArray();
  }

  private static byte[] bits(JsonNode array) {
    byte[] out = new byte[array.size()];
    for (int i = 0; i < out.length; i++) {
      out[i] = (byte) (array.get(i).asBoolean() ? 1 : 0);
    }
    return out;
  }

  private static Sample sample(JsonNode conversations) {
    ObjectNode json = new ObjectMapper().createObjectNode();
    json.set("conversations", conversations);
    return SampleFormat.read(json, "golden", 1, KeptTurns.ALL);
  }

  private static Encoder encoder(
      Tokenizer tokenizer, int span, SlotContent content, int maxLength, OverLength overLength) {
    return new Encoder(
        new ImageTokens(tokenizer, 32000, span, content),
        ChatTemplate.INSTRUCT,
        maxLength,
        overLength);
  }

  @MustBeClosed
  private static Tokenizer real(SegmentPrefix prefix) {
    return Tokenizer.open(Golden.path("moextend/tokenizer/tokenizer.json"), prefix);
  }

  @TestFactory
  List<DynamicTest> goldenConversationsBecomeThePublishedRows() throws IOException {
    JsonNode expected =
        new ObjectMapper().readTree(Golden.path("moextend/tokenizer/expected.json").toFile());
    int span = expected.get("image_token_span").asInt();
    List<DynamicTest> tests = new ArrayList<>();
    for (String mode : List.of("tok_legacy", "tok_new")) {
      SegmentPrefix prefix =
          expected.get(mode).get("legacy").asBoolean()
              ? SegmentPrefix.LEGACY
              : SegmentPrefix.FIRST_ONLY;
      JsonNode preprocess = expected.get(mode).get("preprocess");
      for (int maxLength : new int[] {96, 50}) {
        JsonNode wanted = preprocess.get("max_len=" + maxLength);
        tests.add(
            DynamicTest.dynamicTest(
                mode + " " + maxLength,
                () -> {
                  try (Tokenizer tokenizer = real(prefix)) {
                    EncodedSample row =
                        encoder(
                                tokenizer,
                                span,
                                SlotContent.PATH_BYTES,
                                maxLength,
                                OverLength.TRUNCATE)
                            .encode(sample(preprocess.get("conversation")))
                            .orElseThrow();
                    Batch batch =
                        new Collator(tokenizer.pad(), maxLength, 1)
                            .collate(List.of(row), List.of(picture()));
                    assertThat(batch.ids()).isEqualTo(ints(wanted.get("input_ids")));
                    assertThat(batch.labels()).isEqualTo(ints(wanted.get("labels")));
                    assertThat(batch.mask()).isEqualTo(bits(wanted.get("attention_mask")));
                    int start = batch.images().getFirst().firstSlot() - 1;
                    assertThat(batch.ids()[start]).isEqualTo(32000);
                    assertThat(batch.ids()[start + span + 1]).isEqualTo(32001);
                  }
                }));
      }
    }
    assertThat(tests).hasSize(4);
    return tests;
  }

  private static Picture picture() {
    return new Picture(Golden.path("moextend/data/i0.png"), "", new float[3]);
  }

  private static JsonNode conversation(String user) throws IOException {
    return new ObjectMapper()
        .readTree(
            """
            [{"from": "user", "value": "%s"}, {"from": "assistant", "value": "Yes."}]"""
                .formatted(user));
  }

  @Test
  void aSampleThatIsTooLongIsRejectedByName() throws IOException {
    Sample sample = sample(conversation("Is it <image>x.png</image>?"));
    try (Tokenizer tokenizer = real(SegmentPrefix.FIRST_ONLY)) {
      int length =
          encoder(tokenizer, 40, SlotContent.PADS, 100, OverLength.REJECT)
              .encode(sample)
              .orElseThrow()
              .length();
      Encoder reject = encoder(tokenizer, 40, SlotContent.PADS, length - 1, OverLength.REJECT);
      assertThatThrownBy(() -> reject.encode(sample))
          .isInstanceOf(DataException.class)
          .hasMessage(
              "golden: sample 1: it has %d ids and max length is %d; shorten it, raise max length, or set over length to truncate or skip"
                  .formatted(length, length - 1));
      assertThat(
              encoder(tokenizer, 40, SlotContent.PADS, length - 1, OverLength.SKIP).encode(sample))
          .isEmpty();
      assertThat(encoder(tokenizer, 40, SlotContent.PADS, length, OverLength.REJECT).encode(sample))
          .isPresent();
    }
  }

  @Test
  void aCutNeverGoesThroughAnImage() throws IOException {
    Sample sample = sample(conversation("Is it <image>x.png</image>?"));
    try (Tokenizer tokenizer = real(SegmentPrefix.FIRST_ONLY)) {
      EncodedSample whole =
          encoder(tokenizer, 40, SlotContent.PADS, 100, OverLength.REJECT)
              .encode(sample)
              .orElseThrow();
      int start = whole.spans().getFirst().start();
      int end = whole.spans().getFirst().end();
      for (int maxLength = 2; maxLength < whole.length(); maxLength++) {
        Encoder cutting = encoder(tokenizer, 40, SlotContent.PADS, maxLength, OverLength.TRUNCATE);
        if (maxLength > start && maxLength <= end) {
          assertThatThrownBy(() -> cutting.encode(sample))
              .hasMessageStartingWith(
                  "golden: sample 1: max length %d cuts through its image x.png"
                      .formatted(maxLength));
        } else {
          EncodedSample cut = cutting.encode(sample).orElseThrow();
          assertThat(cut.length()).isEqualTo(maxLength);
          assertThat(cut.spans()).hasSize(maxLength > end ? 1 : 0);
        }
      }
    }
  }

  @Test
  void answersAndTheEndAreLearntAndNothingElse() throws IOException {
    try (Tokenizer tokenizer = real(SegmentPrefix.FIRST_ONLY)) {
      EncodedSample row =
          encoder(tokenizer, 4, SlotContent.PADS, 100, OverLength.REJECT)
              .encode(sample(conversation("Hello world")))
              .orElseThrow();
      int[] answer = tokenizer.encode("Yes.");
      assertThat(row.lossPositions()).isEqualTo(answer.length + 1);
      assertThat(row.mask()[row.length() - 1]).isZero();
      assertThat(row.mask()[row.length() - 2]).isOne();
      assertThat(row.spans()).isEmpty();
    }
  }

  @Test
  void wordsThatHoldAnImageTokenNameTheSample() throws IOException {
    try (Tokenizer tokenizer = Tokenizer.open(Golden.path("moextend/tokenizer_tiny"))) {
      Encoder encoder =
          new Encoder(
              new ImageTokens(tokenizer, 440, 4, SlotContent.PADS),
              ChatTemplate.INSTRUCT,
              100,
              OverLength.REJECT);
      Sample sample = sample(conversation("a <imgpad>"));
      assertThatThrownBy(() -> encoder.encode(sample))
          .hasMessage(
              "golden: sample 1: the words hold the image token <imgpad> themselves; write it"
                  + " otherwise");
    }
  }

  @Test
  void aPromptIsTheRowUpToTheLastAnswer() throws IOException {
    try (Tokenizer tokenizer = real(SegmentPrefix.LEGACY)) {
      Encoder encoder = encoder(tokenizer, 4, SlotContent.PADS, 200, OverLength.REJECT);
      Sample sample = sample(conversation("<image>a.png</image> What?"));
      int[] row = encoder.encode(sample).orElseThrow().ids();
      int answer = tokenizer.encode("Yes.").length;
      EncodedText prompt = encoder.prompt(sample);
      assertThat(prompt.ids()).isEqualTo(Arrays.copyOf(row, row.length - answer - 1));
      assertThat(prompt.spans()).isEqualTo(encoder.encode(sample).orElseThrow().spans());
    }
  }

  @Test
  void theFirstTurnAloneStandsBehindTheStart() throws IOException {
    try (Tokenizer tokenizer = real(SegmentPrefix.FIRST_ONLY)) {
      Encoder encoder = encoder(tokenizer, 3, SlotContent.PADS, 200, OverLength.REJECT);
      EncodedText text = encoder.firstTurn(sample(conversation("a <image>x</image> b")));
      assertThat(text.ids()).containsExactly(1, 264, 28705, 32000, 32002, 32002, 32002, 32001, 287);
      assertThat(text.spans()).containsExactly(new ImageSpan(4, 3, "x"));
    }
  }
}
