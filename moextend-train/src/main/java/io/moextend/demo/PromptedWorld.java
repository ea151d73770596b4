package io.moextend.demo;

import com.fasterxml.jackson.databind.json.JsonMapper;
import io.moextend.config.ConfigException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.function.Supplier;

/**
 * Prompted tasks in files: what a base model is pretrained on, what it is adapted to, and an
 * examination in other words.
 *
 * @param root folder of all
 */
public record PromptedWorld(Path root) {
  private static final JsonMapper JSON = new JsonMapper();

  /**
   * @param texts with one word left out, to pretrain on
   * @param examples of each prompt that is learnt from
   * @param questions of each prompt that is kept for the examination
   */
  public record Sizes(int texts, int examples, int questions) {
    public Sizes {
      if (texts < 1 || examples < 1 || questions < 1) {
        throw new ConfigException(
            "sizes", "%d, %d, %d".formatted(texts, examples, questions), "must be at least 1");
      }
    }
  }

  /** Writes it into a new folder. The same seed writes the same bytes. */
  public static PromptedWorld write(Path root, long seed, Sizes sizes) {
    var world = new PromptedWorld(root);
    var random = new Random(seed);
    try {
      Files.createDirectories(world.tokenizer());
      PromptedTokenizer.write(world.tokenizer());
      world.list("pretrain", List.of(world.file("texts", sizes.texts(), gap(random))));
      var learnt = new ArrayList<Map<String, Object>>();
      var kept = new ArrayList<Map<String, Object>>();
      for (PromptedTask task : PromptedTask.values()) {
        String name = task.name().toLowerCase(Locale.ROOT);
        learnt.addAll(world.files(random, task, name, task.prompts(), sizes.examples()));
        kept.addAll(
            world.files(random, task, name + "-new", task.heldOutPrompts(), sizes.questions()));
      }
      world.list("adapt", learnt);
      world.list("examine", kept);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write into " + root + ": " + e.getMessage(), e);
    }
    return world;
  }

  /** Rows that a model's embedding needs. */
  public static int vocabularySize() {
    return PromptedTokenizer.vocabularySize();
  }

  /** Folder of tokenizer.json. */
  public Path tokenizer() {
    return root.resolve("tokenizer");
  }

  /** List of the tasks to pretrain on. */
  public Path pretraining() {
    return root.resolve("pretrain.yaml");
  }

  /** List of the tasks to adapt to. */
  public Path adaptation() {
    return root.resolve("adapt.yaml");
  }

  /** List of the same tasks, asked in words that nothing was learnt from. */
  public Path examination() {
    return root.resolve("examine.yaml");
  }

  /** A text without one of its words, and that word. */
  private static Supplier<Map<String, Object>> gap(Random random) {
    return () -> {
      List<String> words = new ArrayList<>(List.of(PromptedText.draw(random).words().split(" ")));
      String word = words.set(random.nextInt(words.size()), PromptedTokenizer.LEFT_OUT);
      return example(String.join(" ", words), word);
    };
  }

  private List<Map<String, Object>> files(
      Random random, PromptedTask task, String name, List<String> prompts, int examples)
      throws IOException {
    var entries = new ArrayList<Map<String, Object>>();
    for (int i = 0; i < prompts.size(); i++) {
      String prompt = prompts.get(i);
      Map<String, Object> entry =
          file(
              name + "-" + i,
              examples,
              () -> {
                PromptedText text = PromptedText.draw(random);
                Map<String, Object> example =
                    example(PromptedTask.ask(prompt, text), task.answer(text));
                example.put("answer_choices", task.choices());
                return example;
              });
      entry.put("group", task.name().toLowerCase(Locale.ROOT));
      entry.put("classes", task.choices().size());
      entries.add(entry);
    }
    return entries;
  }

  private static Map<String, Object> example(String inputs, String targets) {
    var example = new LinkedHashMap<String, Object>();
    example.put("inputs", inputs);
    example.put("targets", targets);
    return example;
  }

  /**
   * @return its entry in a list
   */
  private Map<String, Object> file(String name, int examples, Supplier<Map<String, Object>> drawn)
      throws IOException {
    var lines = new ArrayList<String>();
    for (int i = 0; i < examples; i++) {
      lines.add(JSON.writeValueAsString(drawn.get()));
    }
    String file = name + ".jsonl";
    Files.write(root.resolve(file), lines);
    var entry = new LinkedHashMap<String, Object>();
    entry.put("name", name);
    entry.put("files", List.of(file));
    return entry;
  }

  /** JSON is YAML too. */
  private void list(String name, List<Map<String, Object>> entries) throws IOException {
    var list = new LinkedHashMap<String, Object>();
    list.put("cap", 500_000);
    list.put("tasks", entries);
    Files.write(
        root.resolve(name + ".yaml"),
        JSON.writerWithDefaultPrettyPrinter().writeValueAsBytes(list));
  }
}
