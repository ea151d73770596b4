package io.moextend.demo;

import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The files of a {@link ShapeWorld}, all below one folder. Samples are LLaVA's JSON: {@code id},
 * {@code image} (relative to the folder), {@code conversations}.
 *
 * @param root the folder
 */
public record DemoData(Path root) {
  private static final String REQUEST = "talk about shapes .";
  private static final JsonMapper JSON =
      JsonMapper.builder().enable(SerializationFeature.INDENT_OUTPUT).build();

  /**
   * @param statements different sentences, those held back among them
   * @param dialogues different text dialogues, those held back among them
   * @param heldOutShare part of the text that is held back, 0 to 1
   */
  public record Sizes(
      int trainPictures, int testPictures, int statements, int dialogues, double heldOutShare) {
    /** Enough for a model of a few million weights to learn the world in minutes. */
    public static Sizes usual() {
      return new Sizes(768, 144, 3000, 9000, 0.05);
    }
  }

  /** Folder of tokenizer.json and tokenizer_config.json. */
  public Path tokenizer() {
    return root.resolve("tokenizer");
  }

  /** One line a sample, statements and dialogues. */
  public Path trainText() {
    return root.resolve("text/train.txt");
  }

  public Path heldOutText() {
    return root.resolve("text/heldout.txt");
  }

  /** The dialogues of {@link #trainText()} as samples without a picture. */
  public Path trainDialogues() {
    return root.resolve("text/train.json");
  }

  public Path heldOutDialogues() {
    return root.resolve("text/heldout.json");
  }

  /** The sentences of {@link #trainText()} as answers to "talk about shapes", without a picture. */
  public Path trainStatements() {
    return root.resolve("text/train_statements.json");
  }

  public Path heldOutStatements() {
    return root.resolve("text/heldout_statements.json");
  }

  /** A caption for each training picture. */
  public Path alignment() {
    return root.resolve("alignment.json");
  }

  /** All questions about each training picture, as one conversation. */
  public Path instructions() {
    return root.resolve("instruct.json");
  }

  /**
   * {@link #instructions()}, and as many dialogues without a picture: what MoIIE's sft is made of.
   */
  public Path mixture() {
    return root.resolve("mixture.json");
  }

  /** Each question about each test picture alone; ids start with the question's word. */
  public Path test() {
    return root.resolve("test.json");
  }

  /** A caption for each test picture. */
  public Path testCaptions() {
    return root.resolve("test_captions.json");
  }

  /** Share of right answers of who always gives the test's most frequent one, by question. */
  public Path chance() {
    return root.resolve("chance.json");
  }

  /** Makes the world of this seed and writes it; the same seed and sizes give the same data. */
  public static DemoData write(Path root, long seed, Sizes sizes, DemoTokenizer tokenizer) {
    ShapeWorld world = new ShapeWorld(seed);
    DemoData data = new DemoData(root);
    try {
      Files.createDirectories(root.resolve("images"));
      Files.createDirectories(root.resolve("text"));
      Files.createDirectories(data.tokenizer());
      tokenizer.write(data.tokenizer());
      TextCorpus text = world.text(sizes.statements(), sizes.dialogues(), sizes.heldOutShare());
      PictureSet train = world.trainPictures(sizes.trainPictures());
      data.writeText(text);
      data.writePictures(train, world.testPictures(sizes.testPictures()), seed);
      data.writeMixture(train, text, seed);
    } catch (IOException e) {
      throw new ConfigException(root + ": the demo's data cannot be written: " + e, e);
    }
    return data;
  }

  private void writeText(TextCorpus text) throws IOException {
    Files.write(trainText(), text.train().stream().map(TextSample::line).toList());
    Files.write(heldOutText(), text.heldOut().stream().map(TextSample::line).toList());
    writeJson(trainDialogues(), dialogues("text-train", text.train()));
    writeJson(heldOutDialogues(), dialogues("text-heldout", text.heldOut()));
    writeJson(trainStatements(), statements("statement-train", text.train()));
    writeJson(heldOutStatements(), statements("statement-heldout", text.heldOut()));
  }

  private void writePictures(PictureSet train, PictureSet test, long seed) throws IOException {
    for (PictureSet set : List.of(train, test)) {
      for (Picture picture : set.pictures()) {
        ScenePicture.write(picture.scene(), picture.noiseSeed(), picture.in(root));
      }
    }
    writeJson(alignment(), withImages(train.captions()));
    writeJson(instructions(), withImages(train.conversations(seed)));
    writeJson(test(), withImages(test.questions()));
    writeJson(testCaptions(), withImages(test.captions()));
    Map<String, Double> chance = new LinkedHashMap<>();
    test.chance().forEach((question, share) -> chance.put(question.word(), share));
    writeJson(chance(), chance);
  }

  private void writeMixture(PictureSet train, TextCorpus text, long seed) throws IOException {
    List<Object> all = new ArrayList<>(withImages(train.conversations(seed)));
    int half = all.size() / 2;
    all.addAll(first(half, dialogues("text-train", text.train())));
    all.addAll(first(half, statements("statement-train", text.train())));
    writeJson(mixture(), all);
  }

  private static List<Object> first(int most, List<Object> samples) {
    return samples.subList(0, Math.min(most, samples.size()));
  }

  private static List<Object> withImages(List<ImageSample> samples) {
    List<Object> out = new ArrayList<>();
    for (ImageSample sample : samples) {
      Map<String, Object> entry = new LinkedHashMap<>();
      entry.put("id", sample.id());
      entry.put("image", sample.image());
      entry.put("conversations", conversation("<image>\n", sample.turns()));
      out.add(entry);
    }
    return out;
  }

  private static List<Object> dialogues(String name, List<TextSample> samples) {
    List<Object> out = new ArrayList<>();
    for (TextSample sample : samples) {
      switch (sample) {
        case TextSample.Statement _ -> {} // nobody asks: see statements()
        case TextSample.Dialogue dialogue ->
            out.add(textEntry("%s-%05d".formatted(name, out.size()), dialogue.turns()));
      }
    }
    return out;
  }

  /** A sample has a question, so each sentence gets the same one. */
  private static List<Object> statements(String name, List<TextSample> samples) {
    List<Object> out = new ArrayList<>();
    for (TextSample sample : samples) {
      switch (sample) {
        case TextSample.Dialogue _ -> {} // see dialogues()
        case TextSample.Statement statement ->
            out.add(
                textEntry(
                    "%s-%05d".formatted(name, out.size()),
                    List.of(new Turn(REQUEST, statement.text()))));
      }
    }
    return out;
  }

  private static Map<String, Object> textEntry(String id, List<Turn> turns) {
    Map<String, Object> entry = new LinkedHashMap<>();
    entry.put("id", id);
    entry.put("conversations", conversation("", turns));
    return entry;
  }

  private static List<Object> conversation(String lead, List<Turn> turns) {
    List<Object> out = new ArrayList<>();
    for (Turn turn : turns) {
      out.add(said("human", (out.isEmpty() ? lead : "") + turn.question()));
      out.add(said("gpt", turn.answer()));
    }
    return out;
  }

  private static Map<String, String> said(String who, String what) {
    Map<String, String> out = new LinkedHashMap<>();
    out.put("from", who);
    out.put("value", what);
    return out;
  }

  private static void writeJson(Path file, Object value) throws IOException {
    Files.write(file, JSON.writeValueAsBytes(value));
  }
}
