// Draws the OpenAPI document. Texts go in as text, never as markup.
"use strict";

function element(name, content, attributes) {
  const node = document.createElement(name);
  for (const part of [content ?? []].flat()) node.append(part);
  return Object.assign(node, attributes);
}

const code = (text) => element("code", text);
const row = (cells, name = "td") => element("tr", cells.map((cell) => element(name, cell)));
const table = (head, rows) => element("table", [row(head, "th"), ...rows.map((cells) => row(cells))]);

// A line of the description: `code` and paragraphs are all the markup that it has.
const inline = (text) => text.split("`").map((part, n) => (n % 2 ? code(part) : part));

function prose(text) {
  return (text ?? "").split("\n\n").map((block) => {
    if (!block.startsWith("|")) return element("p", inline(block));
    const cells = (line) => line.split("|").slice(1, -1).map((cell) => inline(cell.trim()));
    const [head, , ...rows] = block.trim().split("\n");
    return table(cells(head), rows.map(cells));
  });
}

function link(reference) {
  const name = reference.split("/").pop();
  return element("a", name, { href: `#schema-${name}` });
}

function type(schema) {
  if (!schema) return "";
  if (schema.$ref) return link(schema.$ref);
  const choices = schema.oneOf ?? schema.anyOf ?? schema.allOf;
  if (choices) return choices.flatMap((choice, n) => [n ? " or " : "", type(choice)].flat());
  if (schema.type === "array") return ["list of ", type(schema.items)].flat();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  return [schema.type ?? "any"].flat().join(" or ");
}

function fields(schema) {
  const properties = Object.entries(schema?.properties ?? {});
  if (properties.length === 0) return [element("p", type(schema))];
  const required = new Set(schema.required ?? []);
  const rows = properties.map(([name, property]) => [
    code(name),
    type(property),
    required.has(name) ? "always" : "",
    inline(property.description ?? ""),
  ]);
  return [table(["field", "type", "there", ""], rows)];
}

function body(title, content) {
  return Object.entries(content ?? {}).flatMap(([media, { schema, example }]) => {
    const shown = example ?? schema?.example;
    const parts = [element("p", [`${title} (${media}): `, type(schema)].flat())];
    if (shown) parts.push(element("pre", JSON.stringify(shown, null, 2)));
    return parts;
  });
}

function operation(method, path, about) {
  const id = `${method}-${path}`;
  const parts = [
    element("summary", [element("b", method.toUpperCase()), code(path), ` ${about.summary ?? ""}`], { id }),
    ...prose(about.description),
  ];
  if (about.parameters?.length) {
    const rows = about.parameters.map((one) => [
      code(one.name), one.in, type(one.schema), inline(one.description ?? ""),
    ]);
    parts.push(table(["parameter", "in", "type", ""], rows));
  }
  parts.push(...body("Body", about.requestBody?.content));
  for (const [status, answer] of Object.entries(about.responses ?? {})) {
    parts.push(element("p", [element("b", status), " ", ...inline(answer.description ?? "")]));
    parts.push(...body("Answer", answer.content));
  }
  return element("details", parts);
}

function draw(document_) {
  const at = (id) => document.getElementById(id);
  at("title").textContent = `${document_.info.title} ${document_.info.version}`;
  at("description").replaceChildren(...prose(document_.info.description));
  for (const [path, item] of Object.entries(document_.paths)) {
    for (const [method, about] of Object.entries(item)) {
      at("operations").append(operation(method, path, about));
      at("index").append(element("a", code(`${method.toUpperCase()} ${path}`), { href: `#${method}-${path}` }));
    }
  }
  for (const [name, schema] of Object.entries(document_.components?.schemas ?? {})) {
    const parts = [element("h3", name, { id: `schema-${name}` }), ...prose(schema.description)];
    at("schemas").append(...parts, ...fields(schema));
  }
}

// What the index names is opened when it is chosen.
addEventListener("hashchange", () => {
  const chosen = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const box = chosen?.closest("details");
  if (box) box.open = true;
});

fetch("/v1/openapi.json")
  .then((answer) => answer.json())
  .then(draw)
  .catch((fault) => document.querySelector("main").prepend(`The document cannot be read: ${fault}`));
