# A delegate for tools that only know node-gyp: the native part is built by CMake (npm run build:native).
# `npm ci` does not come here, because package.json says "gypfile": false.
{
  "targets": [
    {
      "target_name": "landmark_diffusion_delegate",
      "type": "none",
      "actions": [
        {
          "action_name": "cmake_js",
          "inputs": ["CMakeLists.txt"],
          "outputs": ["build/Release/landmark_diffusion.node"],
          "action": ["npm", "run", "build:native"]
        }
      ]
    }
  ]
}
