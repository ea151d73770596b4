package io.moextend.checkpoint;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.nio.file.Path;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * model.safetensors.index.json. Its "metadata" is written but not read, since published files get
 * total_size wrong.
 *
 * @param weightMap tensor to file name
 */
@JsonIgnoreProperties(ignoreUnknown = true)
record ShardIndex(@JsonProperty("weight_map") SortedMap<String, String> weightMap) {
  static final String FILE = "model.safetensors.index.json";

  static ShardIndex read(Path file) {
    return JsonFile.read(file, ShardIndex.class);
  }

  /**
   * @param totalBytes of all tensors, without headers
   */
  void write(Path file, long totalBytes) {
    var json = new TreeMap<String, Object>();
    json.put("metadata", Map.of("total_size", totalBytes));
    json.put("weight_map", weightMap);
    JsonFile.write(file, json);
  }
}
