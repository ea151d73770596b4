package io.moextend.demo;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.data.ChatTemplate;
import io.moextend.data.EncodedSample;
import io.moextend.data.Encoder;
import io.moextend.data.ImageRoot;
import io.moextend.data.KeptTurns;
import io.moextend.data.OverLength;
import io.moextend.data.SampleFile;
import io.moextend.text.ImageTokens;
import io.moextend.text.Tokenizer;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DemoDataTest {
  private static final long SEED = 11;
  private static final int PATCHES = 36;
  private static final DemoData.Sizes SIZES = new DemoData.Sizes(96, 48, 800, 2400, 0.1);

  @TempDir static Path folder;
  private static DemoData data;
  private static HuggingFaceTokenizer tokenizer;

  @BeforeAll
  static void writeTheWorld() throws IOException {
    data = DemoData.write(folder.resolve("a"), SEED, SIZES, DemoTokenizer.INSTRUCTIONS);
    tokenizer =
        HuggingFaceTokenizer.builder()
            .optTokenizerPath(data.tokenizer().resolve("tokenizer.json"))
            .optAddSpecialTokens(false)
            .optPadding(false)
            .optTruncation(false)
            .build();
  }

  @AfterAll
  static void closeTheTokenizer() {
    tokenizer.close();
  }

  @Test
  void everyLineOfTheCorpusComesBackWholeWithoutAnUnknownWord() throws IOException {
    Set<Long> used = new HashSet<>();
    for (String line : lines()) {
      long[] ids = tokenizer.encode(line).getIds();
      for (long id : ids) {
        assertThat(id).as(line).isNotEqualTo(DemoTokenizer.UNKNOWN);
        used.add(id);
      }
      assertThat(tokenizer.decode(ids, false)).isEqualTo(line);
    }
    List<String> tokens = DemoTokenizer.INSTRUCTIONS.tokens();
    List<String> never = new ArrayList<>();
    for (int id = DemoTokenizer.END + 1; id < DemoTokenizer.INSTRUCTIONS.imageId(); id++) {
      if (!used.contains((long) id)) {
        never.add(tokens.get(id));
      }
    }
    assertThat(never).as("words no line uses").isEmpty();
  }

  @Test
  void theVocabularyIsSmallAndEachTokenHasItsId() {
    List<String> tokens = DemoTokenizer.INSTRUCTIONS.tokens();
    assertThat(tokens).doesNotHaveDuplicates().hasSize(DemoTokenizer.INSTRUCTIONS.vocabularySize());
    assertThat(tokens.size()).isBetween(120, 200);
    for (int id = 0; id < tokens.size(); id++) {
      assertThat(tokenizer.encode(tokens.get(id)).getIds()).containsExactly(id);
    }
  }

  @Test
  void marksStayWholeHoweverTheyAreWrittenAndTextMayBeNatural() {
    long[] spaced = ids("[INST] what colour is it ? [/INST] red");
    assertThat(ids("[INST]What colour is it?[/INST]red")).isEqualTo(spaced);
    assertThat(spaced[0]).isEqualTo(3);
    assertThat(spaced[6]).isEqualTo(4);
    assertThat(ids("<image><imgpad></image>"))
        .containsExactly(
            DemoTokenizer.INSTRUCTIONS.imageId(),
            DemoTokenizer.INSTRUCTIONS.imageId() + 2,
            DemoTokenizer.INSTRUCTIONS.imageId() + 1);
    assertThat(ids("zebra")).containsExactly(DemoTokenizer.UNKNOWN);
  }

  @Test
  void encodingWithSpecialTokensPutsTheStartInFront() throws IOException {
    try (HuggingFaceTokenizer plain = HuggingFaceTokenizer.newInstance(data.tokenizer())) {
      assertThat(plain.encode("red").getIds()[0]).isEqualTo(DemoTokenizer.START);
      assertThat(plain.encode("red").getIds()).hasSize(2);
    }
  }

  @Test
  void heldOutLinesAreNotTrainedOnAndTheFactsAre() throws IOException {
    Set<String> train = new HashSet<>(Files.readAllLines(data.trainText()));
    List<String> heldOut = Files.readAllLines(data.heldOutText());
    assertThat(heldOut).hasSize(320).doesNotHaveDuplicates();
    assertThat(train).doesNotContainAnyElementsOf(heldOut);
    assertThat(train).hasSizeGreaterThan(2880).contains("grass is green .", "tom likes red .");
    assertThat(heldOut.stream().filter(l -> l.startsWith("[INST]"))).hasSize(240);
  }

  @Test
  void answersAboutLooseWordsAreWordsThatStandThere() throws IOException {
    int seen = 0;
    for (JsonNode sample : json(data.trainDialogues())) {
      JsonNode turns = sample.get("conversations");
      String asked = turns.get(0).get("value").asText();
      if (asked.contains("dark") && asked.endsWith("?")) {
        for (int i = 1; i < turns.size(); i += 2) {
          assertThat(asked.split(" ")).contains(turns.get(i).get("value").asText());
        }
        seen++;
      }
    }
    assertThat(seen).isGreaterThan(200);
  }

  @Test
  void everySampleNamesAPictureThatCanBeReadAndKnowsEveryWord() throws IOException {
    for (Path file :
        List.of(data.alignment(), data.instructions(), data.test(), data.testCaptions())) {
      Set<String> ids = new HashSet<>();
      for (JsonNode sample : json(file)) {
        assertThat(ids.add(sample.get("id").asText())).as("%s twice", sample.get("id")).isTrue();
        BufferedImage image =
            ImageIO.read(folder.resolve("a/" + sample.get("image").asText()).toFile());
        assertThat(image.getWidth()).isEqualTo(48);
        assertThat(image.getHeight()).isEqualTo(48);
        assertThat(image.getColorModel().getNumComponents()).isEqualTo(3);
        JsonNode turns = sample.get("conversations");
        assertThat(turns.get(0).get("value").asText()).startsWith("<image>\n");
        for (JsonNode turn : turns) {
          assertThat(ids(turn.get("value").asText()))
              .as(turn.toString())
              .doesNotContain(DemoTokenizer.UNKNOWN);
        }
      }
    }
    assertThat(json(data.alignment())).hasSize(96);
    assertThat(json(data.instructions())).hasSize(96);
    assertThat(json(data.test())).hasSize(192);
  }

  @Test
  void theEncoderTakesEverySampleAndLearnsTheAnswersAlone() {
    try (Tokenizer own = Tokenizer.open(data.tokenizer().resolve("tokenizer.json"))) {
      ImageTokens images =
          new ImageTokens(
              own, DemoTokenizer.INSTRUCTIONS.imageId(), PATCHES, ImageTokens.SlotContent.PADS);
      Encoder encoder = new Encoder(images, ChatTemplate.INSTRUCT, 128, OverLength.REJECT);
      ImageRoot root = new ImageRoot(data.root());
      for (Path file :
          List.of(data.alignment(), data.instructions(), data.test(), data.trainDialogues())) {
        try (SampleFile samples = SampleFile.open(file, KeptTurns.ALL, root)) {
          for (int i = 0; i < samples.size(); i++) {
            EncodedSample row = encoder.encode(samples.read(i)).orElseThrow();
            assertThat(row.ids()).doesNotContain(DemoTokenizer.UNKNOWN);
            assertThat(row.spans()).hasSize(file.equals(data.trainDialogues()) ? 0 : 1);
            assertThat(row.ids()[0]).isEqualTo(DemoTokenizer.START);
            assertThat(row.ids()[row.length() - 1]).isEqualTo(DemoTokenizer.END);
            if (file.equals(data.test())) {
              // start, one answer, end; the prompt is <s> [INST] <image> 36 </image> … [/INST]
              assertThat(row.lossPositions()).isBetween(2, 3);
            }
          }
        }
      }
    }
  }

  @Test
  void everyAnswerOfTheTestIsOneToken() throws IOException {
    for (JsonNode sample : json(data.test())) {
      JsonNode turns = sample.get("conversations");
      assertThat(turns).hasSize(2);
      assertThat(ids(turns.get(1).get("value").asText())).hasSize(1);
      String kind = sample.get("id").asText().split("-")[0].toUpperCase(Locale.ROOT);
      assertThat(turns.get(0).get("value").asText())
          .isEqualTo("<image>\n" + Question.valueOf(kind).text());
    }
    assertThat(json(data.chance()).get("size").asDouble()).isEqualTo(0.5);
  }

  @Test
  void theSameSeedWritesTheSameFiles() throws IOException {
    DemoData again = DemoData.write(folder.resolve("b"), SEED, SIZES, DemoTokenizer.INSTRUCTIONS);
    List<Path> files;
    try (Stream<Path> walk = Files.walk(data.root())) {
      files = walk.filter(Files::isRegularFile).toList();
    }
    assertThat(files).hasSize(96 + 48 + 4 + 7 + 3);
    for (Path file : files) {
      assertThat(again.root().resolve(data.root().relativize(file))).hasSameBinaryContentAs(file);
    }
    DemoData other =
        DemoData.write(folder.resolve("c"), SEED + 1, SIZES, DemoTokenizer.INSTRUCTIONS);
    assertThat(Files.mismatch(other.trainText(), data.trainText())).isNotNegative();
    assertThat(
            Files.mismatch(
                other.tokenizer().resolve("tokenizer.json"),
                data.tokenizer().resolve("tokenizer.json")))
        .isEqualTo(-1);
  }

  private static long[] ids(String text) {
    return tokenizer.encode(text).getIds();
  }

  private static List<String> lines() throws IOException {
    List<String> lines = new ArrayList<>(Files.readAllLines(data.trainText()));
    lines.addAll(Files.readAllLines(data.heldOutText()));
    return lines;
  }

  private static JsonNode json(Path file) throws IOException {
    return new JsonMapper().readTree(file.toFile());
  }
}
